"""The user's own folders: images, images with masks, recordings; what is broken is named or left out."""

import io
import json
import os
import subprocess
import sys

import librosa.filters
import numpy as np
import pytest
import soundfile
from PIL import Image

from edgebook.errors import BadInput
from edgebook.tasks import load_task
from edgebook.tasks.audio_features import LOG_OFFSET
from edgebook.tasks.formats import load_path

RATE = 8000


def images(folder, *, n=12, size=(6, 8), mode="L", classes=("bad", "good")):
    """n images of each class; all pixels of image i have the value 10 * i."""
    for label in classes:
        (folder / label).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            colour = 10 * i if mode == "L" else (10 * i, 0, 255)
            Image.new(mode, size[::-1], colour).save(folder / label / f"{label}_{i}.png")
    return folder


def words(folder, *, n=8, seconds=0.5, rate=RATE, classes=("no", "yes")):
    """n recordings of each class: a tone whose pitch tells the class, from speakers s0, s1, ..."""
    rng = np.random.default_rng(0)
    for number, label in enumerate(classes):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            time = np.arange(round(seconds * rate)) / rate
            wave = 0.3 * np.sin(2 * np.pi * (400 + 800 * number) * time) + rng.normal(0, 0.05, len(time))
            soundfile.write(folder / label / f"s{i // 2}_{i}.wav", wave, rate)
    return folder


def said(path, **settings) -> str:
    with pytest.raises(BadInput) as caught:
        load_path(str(path), **settings)
    message = str(caught.value)
    assert "\n" not in message
    return message


def everything(task) -> np.ndarray:
    return np.concatenate([getattr(task, f"x_{split}").numpy() for split in ("train", "val", "test")])


def test_images_by_class(tmp_path):
    task = load_path(f"{images(tmp_path / 'parts')}/", standardize=False)
    assert (task.name, task.input_shape, task.class_names) == ("parts", (1, 6, 8), ("bad", "good"))
    assert sorted(everything(task)[:, 0, 0, 0].tolist()) == sorted([10.0 * i for i in range(12)] * 2)
    assert task.preprocess["image"] == {"height_width": [6, 8], "mode": "grey", "resized": None}
    assert load_path(f"{tmp_path}/parts/").x_train.mean().abs() < 1e-5


def test_colours_and_sizes_are_brought_to_one(tmp_path):
    images(tmp_path / "parts", mode="RGB")
    task = load_path(f"{tmp_path}/parts", standardize=False)
    assert task.input_shape == (3, 6, 8)
    assert (everything(task)[:, 2] == 255).all()
    Image.new("RGB", (40, 30), (1, 2, 3)).save(tmp_path / "parts" / "good" / "large.jpg")
    assert "good/large.jpg is 30 x 40, others 6 x 8" in said(f"{tmp_path}/parts")
    task = load_path(f"{tmp_path}/parts", image={"size": [5, 5], "mode": "grey"})
    assert task.input_shape == (1, 5, 5)


def test_sixteen_bits_keep_their_range(tmp_path):
    images(tmp_path / "parts")
    array = np.full((6, 8), 257 * 100, np.uint16)
    Image.fromarray(array).save(tmp_path / "parts" / "good" / "deep.png")
    assert 100.0 in everything(load_path(f"{tmp_path}/parts", standardize=False))[:, 0, 0, 0].tolist()


def test_splits_by_folder(tmp_path):
    for split, n in (("train", 8), ("valid", 3), ("test", 4)):
        images(tmp_path / "parts" / split, n=n)
    task = load_task(f"{tmp_path}/parts")
    assert [len(x) for x in (task.x_train, task.x_val, task.x_test)] == [16, 6, 8]
    (tmp_path / "parts" / "extra").mkdir()
    images(tmp_path / "parts" / "extra", n=1)
    assert "extra stands beside train and test" in said(f"{tmp_path}/parts")


def test_a_table_names_files_labels_groups_and_splits(tmp_path):
    images(tmp_path / "parts", n=12)
    lines = [f"{label}/{label}_{i}.png,{i / 7},line{i % 4}" for label in ("bad", "good") for i in range(12)]
    (tmp_path / "wear.csv").write_text("\n".join(["file,label,group", *lines]))
    (tmp_path / "wear.yaml").write_text("{path: parts, items: wear.csv}")
    task = load_task(f"{tmp_path}/wear.yaml")
    assert task.kind_name == "regression"
    assert not set(task.groups["train"]) & set(task.groups["test"])
    (tmp_path / "wear.csv").write_text(
        "\n".join(["file,label", "../wear.csv,1", "bad/none.png,2", *(f"bad/bad_{i}.png,1" for i in range(9))])
    )
    message = said(f"{tmp_path}/wear.yaml")
    assert "../wear.csv leaves the folder" in message
    assert "bad/none.png is no file" in message


def test_a_link_that_leaves_the_folder_is_not_followed(tmp_path):
    images(tmp_path / "parts")
    (tmp_path / "secret.png").write_bytes((tmp_path / "parts" / "good" / "good_1.png").read_bytes())
    os.symlink(tmp_path / "secret.png", tmp_path / "parts" / "good" / "link.png")
    assert "good/link.png leaves the folder" in said(f"{tmp_path}/parts")


def test_broken_images_are_named_or_left_out(tmp_path):
    images(tmp_path / "parts", n=20)
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 8), np.uint8)).save(whole, "png")
    (tmp_path / "parts" / "good" / "cut.png").write_bytes(whole.getvalue()[:-30])
    (tmp_path / "parts" / "good" / "text.jpg").write_text("no image")
    (tmp_path / "parts" / "good" / "notes.txt").write_text("no image either")
    message = said(f"{tmp_path}/parts")
    assert "good/cut.png cannot be read" in message
    assert "good/text.jpg cannot be read" in message
    task = load_path(f"{tmp_path}/parts", broken="skip")
    assert len(everything(task)) == 40
    assert task.notes[0] == "1 files of other kinds are left out"
    assert task.notes[1].startswith("2 broken items are left out: good/cut.png")


def test_an_image_that_is_far_too_large_is_not_read(tmp_path, monkeypatch):
    images(tmp_path / "parts")
    monkeypatch.setattr("edgebook.tasks.images.MOST_PIXELS", 100)
    Image.new("L", (50, 50)).save(tmp_path / "parts" / "good" / "huge.png")
    assert "good/huge.png cannot be read: 50 x 50 pixels; at most 100" in said(f"{tmp_path}/parts")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: [file.unlink() for file in (folder / "good").iterdir()], "class 'good' has no file"),
        (lambda folder: [(folder / "good").rename(folder / "_good")], "all items have one label, bad"),
        (lambda folder: [file.rename(file.with_suffix(".txt")) for file in folder.rglob("*.png")], "the folder has .txt"),
    ],
)
def test_folders_that_cannot_be_used_are_one_line(tmp_path, spoil, says):
    folder = images(tmp_path / "parts")
    spoil(folder)
    assert says in said(folder)


def test_group_patterns(tmp_path):
    words(tmp_path / "speech", n=12)
    task = load_path(f"{tmp_path}/speech", group=r"/(s\d+)_")
    assert len(set(task.groups["train"]) | set(task.groups["val"]) | set(task.groups["test"])) == 6
    assert not set(task.groups["train"]) & set(task.groups["test"])
    assert "has no bracket" in said(f"{tmp_path}/speech", group=r"s\d")
    assert "is no pattern" in said(f"{tmp_path}/speech", group="(")
    assert "fits no file" in said(f"{tmp_path}/speech", group="(x)")


def test_masks_beside_images(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (tmp_path / "road" / name).mkdir(parents=True)
    for i in range(30):
        mask = rng.choice([0, 100, 200], (4, 6)).astype(np.uint8)
        Image.fromarray(mask).save(tmp_path / "road" / "masks" / f"{i}.png")
        Image.fromarray(np.stack([mask] * 3, 2)).save(tmp_path / "road" / "images" / f"{i}.jpg", quality=100)
    task = load_path(f"{tmp_path}/road", classes=["road", "lane", "sky"], standardize=False)
    assert (task.kind_name, task.input_shape, task.class_names) == ("segmentation", (3, 4, 6), ("road", "lane", "sky"))
    np.testing.assert_allclose(task.x_test.mean(1), task.y_test * 100, atol=6)  # JPEG
    (tmp_path / "road" / "masks" / "3.png").unlink()
    assert "3 is in images alone" in said(f"{tmp_path}/road")
    Image.new("L", (3, 3)).save(tmp_path / "road" / "masks" / "3.png")
    assert "3 has a mask of 3 x 3, the image is 4 x 6" in said(f"{tmp_path}/road")


def test_recordings_by_class_and_the_store_of_their_features(tmp_path, monkeypatch):
    folder = words(tmp_path / "speech")
    task = load_path(str(folder))
    assert (task.input_shape, task.class_names, task.item_seconds) == ((1, 24, 40), ("no", "yes"), 0.5)
    again = load_path(str(folder))
    monkeypatch.setattr("edgebook.tasks.audio.features", None)  # what is computed again would fail
    assert load_path(str(folder)).fingerprint == again.fingerprint == task.fingerprint
    soundfile.write(folder / "yes" / "s9_9.wav", np.zeros(4000), RATE)
    with pytest.raises(TypeError):
        load_path(str(folder))


def test_features_follow_from_the_settings_that_travel_with_the_file(tmp_path):
    """A device that knows only `preprocess` computes the same: written out as loops over samples."""
    folder = words(tmp_path / "speech")
    for kind, width in (("log_mel", 20), ("mfcc", 5)):
        task = load_path(str(folder), audio={"features": kind, "n_mels": 20, "n_mfcc": 5, "window_ms": 25, "hop_ms": 10})
        made, scale, offset = (task.preprocess[key] for key in ("audio", "scale", "offset"))
        wave, rate = soundfile.read(folder / "no" / "s0_0.wav", dtype="float32")
        assert rate == made["rate"]
        first = by_hand(wave, made) * scale[0] + offset[0]
        assert first.shape[1] == width
        distances = np.abs(everything(task)[:, 0] - first).max((1, 2))
        assert distances.min() < 1e-3


def by_hand(wave, made):
    filters = librosa.filters.mel(
        sr=made["rate"], n_fft=made["fft"], n_mels=made["n_mels"], fmin=made["low_hz"], fmax=made["high_hz"]
    )
    frames = []
    for start in range(0, len(wave) - made["window"] + 1, made["hop"]):
        n = np.arange(made["window"])
        windowed = wave[start : start + made["window"]] * np.sin(np.pi * n / made["window"]) ** 2
        spectrum = np.array([(windowed * np.exp(-2j * np.pi * k * n / made["fft"])).sum() for k in range(made["fft"] // 2 + 1)])
        row = np.log(filters @ np.abs(spectrum) ** 2 + made["log_offset"])
        if made["features"] == "mfcc":
            m = len(row)
            basis = np.cos(np.pi * np.arange(m)[:, None] * (np.arange(m) + 0.5) / m) * np.sqrt(2 / m)
            basis[0] /= np.sqrt(2)
            row = (basis @ row)[: made["n_mfcc"]]
        frames.append(row)
    return np.array(frames)


def test_log_mel_is_librosas(tmp_path):
    """In a process of its own, which compiles once per environment, for some 15 seconds."""
    folder = words(tmp_path / "speech", n=3)
    task = load_path(str(folder), standardize=False)
    made = task.preprocess["audio"]
    code = f"""
import json, sys, librosa, numpy as np, soundfile
wave, rate = soundfile.read({str(folder / "yes" / "s0_1.wav")!r}, dtype="float32")
mel = librosa.feature.melspectrogram(y=wave, sr=rate, n_fft={made["fft"]}, win_length={made["window"]},
    hop_length={made["hop"]}, center=False, n_mels={made["n_mels"]}, fmin={made["low_hz"]}, fmax={made["high_hz"]})
json.dump(np.log(mel + {LOG_OFFSET}).T.tolist(), sys.stdout)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = np.array(json.loads(done.stdout))
    assert np.abs(everything(task)[:, 0] - expected).max((1, 2)).min() < 1e-3


def test_rates_and_lengths_of_recordings(tmp_path):
    folder = words(tmp_path / "speech")
    tone = 0.3 * np.sin(2 * np.pi * 1200 * np.arange(8000) / 16000)
    soundfile.write(folder / "yes" / "fast.wav", tone, 16000)
    assert "yes/fast.wav has 16000 samples per second, others 8000 (audio: rate resamples all)" in said(folder)
    task = load_path(str(folder), audio={"rate": RATE})
    assert task.notes == ("1 recordings are resampled to 8000 Hz",)
    soundfile.write(folder / "yes" / "fast.wav", np.zeros(2000), RATE)
    soundfile.write(folder / "yes" / "slow.wav", np.zeros(6000), RATE)
    task = load_path(str(folder))
    assert task.notes == ("1 recordings get silence at their end, up to 0.5 s", "1 recordings are cut to 0.5 s")
    soundfile.write(folder / "yes" / "slow.wav", np.zeros(60000), RATE)
    assert "yes/slow.wav lasts 7.5 s where 0.5 s are taken" in said(folder)


def test_stereo_is_averaged_and_resampling_keeps_a_tone(tmp_path):
    time = np.arange(4000) / RATE
    for label, pitch in (("high", 1500), ("low", 500)):
        (tmp_path / "tones" / label).mkdir(parents=True)
        for i in range(5):
            mono = 0.5 * np.sin(2 * np.pi * pitch * time)
            soundfile.write(tmp_path / "tones" / label / f"{i}.wav", np.stack([2 * mono, 0 * mono], 1) / 2, RATE)
            double = 0.25 * np.sin(2 * np.pi * pitch * np.arange(8000) / (2 * RATE))
            soundfile.write(tmp_path / "tones" / label / f"{i}_fast.flac", double, 2 * RATE)
    task = load_path(f"{tmp_path}/tones", audio={"rate": RATE}, standardize=False)
    x, y = everything(task), np.concatenate([getattr(task, f"y_{split}").numpy() for split in ("train", "val", "test")])
    for number in range(2):
        of_class = x[y == number][:, 0, 3:-3].max(2)  # the loudest band of each frame, away from the ends
        assert of_class.std() < 0.2


def test_broken_recordings_are_named_or_left_out(tmp_path):
    folder = words(tmp_path / "speech", n=12)
    whole = (folder / "yes" / "s0_0.wav").read_bytes()
    (folder / "yes" / "cut.wav").write_bytes(whole[:-1000])
    (folder / "yes" / "text.wav").write_text("no recording")
    soundfile.write(folder / "yes" / "empty.wav", np.zeros(0), RATE)
    message = said(folder)
    assert "yes/cut.wav is cut off: 1000 bytes are missing" in message
    assert "yes/text.wav cannot be read" in message
    assert "yes/empty.wav is empty" in message
    task = load_path(str(folder), broken="skip")
    assert len(everything(task)) == 24
    assert "3 broken items are left out" in task.notes[0]


@pytest.mark.parametrize(
    ("audio", "says"),
    [
        ({"window_ms": 900}, "hop <= window <= recording"),
        ({"hop_ms": 50}, "hop <= window"),
        ({"high_hz": 5000}, "up to 4000 (half the rate)"),
        ({"n_mels": 200}, "filters are narrower than a step of the spectrum"),
        ({"features": "mfcc", "n_mfcc": 50}, "at most n_mels = 40"),
        ({"features": "raw"}, "audio.features = 'raw'"),
    ],
)
def test_audio_settings_that_cannot_be(tmp_path, audio, says):
    assert says in said(words(tmp_path / "speech", n=3), audio=audio)


def test_alarms_per_hour_where_classes_are_background(tmp_path):
    folder = words(tmp_path / "speech", n=10, classes=("noise", "yes", "zero"))
    task = load_path(str(folder), background=["noise"])
    assert (task.background, task.item_seconds) == ((0,), 0.5)
    y = task.y_test.numpy()
    outputs = np.eye(3)[np.where(y == 0, 1, y)]  # every background window is taken for "yes"
    details = task.metric.details(outputs, y)
    assert details["false_alarms_per_hour"] == pytest.approx(7200)
    assert details["misses_per_hour"] == 0
    assert details["misses_per_hour_hi"] > 0
    assert "macro_f1" in details
    assert "background names 'silence'" in said(folder, background=["silence"])

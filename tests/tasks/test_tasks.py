"""Tasks: shapes, fixed splits, global generators untouched, augmentation, the user's own data checked at the door."""

from __future__ import annotations

import gzip
import random
import struct
import sys

import numpy as np
import pytest
import torch

from edgebook.errors import BadInput
from edgebook.tasks import TASKS, fashion_mnist, load_task
from edgebook.tasks.augment import shift, shift_flip, shift_jitter
from edgebook.tasks.splits import split_validation, stratified_mask

NO_FASHION = "Fashion-MNIST is not on this machine: apt-get install dataset-fashion-mnist, or set EDGEBOOK_DATA"
SIZES = {  # train, val, test, input shape
    "mnist1d": (3600, 400, 1000, (1, 40)),
    "digits": (1294, 144, 359, (1, 8, 8)),
    "fashion_mnist": (55000, 5000, 10000, (1, 28, 28)),
}


@pytest.fixture(scope="module", params=sorted(TASKS))
def task(request):
    if request.param == "fashion_mnist" and fashion_mnist.local_folder() is None:
        pytest.skip(NO_FASHION)  # never downloaded by a test
    return load_task(request.param)


def keys(x: torch.Tensor) -> list[bytes]:
    return [item.tobytes() for item in x.numpy()]


def test_shapes_types_and_classes(task):
    n_train, n_val, n_test, shape = SIZES[task.name]
    assert (len(task.x_train), len(task.x_val), len(task.x_test)) == (n_train, n_val, n_test)
    assert (len(task.y_train), len(task.y_val), len(task.y_test)) == (n_train, n_val, n_test)
    assert (task.input_shape, task.n_outputs) == (shape, 10)
    assert {part.dtype for part in (task.x_train, task.x_val, task.x_test)} == {torch.float32}
    assert {part.dtype for part in (task.y_train, task.y_val, task.y_test)} == {torch.int64}
    assert all(torch.isfinite(part).all() for part in (task.x_train, task.x_val, task.x_test))
    assert "unknown" not in (task.licence, task.source)


def test_every_part_has_every_class_in_its_share(task):
    share = {part: torch.bincount(y) / len(y) for part, y in (("val", task.y_val), ("train", task.y_train))}
    assert len(share["train"]) == 10
    assert share["train"].min() > 0.08
    # one item more or less in a class of the validation set
    assert (share["val"] - share["train"]).abs().max() <= 1.2 / len(task.y_val)


def test_inputs_are_about_normalised(task):
    if task.name == "digits":
        assert (float(task.x_train.min()), float(task.x_train.max())) == (0, 1)
    else:
        assert abs(float(task.x_train.mean())) < 0.01
        assert abs(float(task.x_train.std()) - 1) < 0.01


def test_validation_shares_no_item_with_train_or_test(task):
    train, val, test = (set(keys(part)) for part in (task.x_train, task.x_val, task.x_test))
    assert (len(train), len(val)) == (len(task.x_train), len(task.x_val))
    assert not (val & train | val & test | train & test)


def test_a_second_load_is_identical_and_leaves_the_generators_alone(task):
    random.seed(1), np.random.seed(2), torch.manual_seed(3)
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    again = load_task(task.name)
    assert random.getstate() == before[0]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), before[1], strict=True))
    assert torch.equal(torch.get_rng_state(), before[2])
    assert again.fingerprint == task.fingerprint
    changed = task.__class__(**{**vars_of(task), "y_test": (task.y_test + 1) % 10})
    assert changed.fingerprint != task.fingerprint


def vars_of(task) -> dict:
    return {name: getattr(task, name) for name in task.__dataclass_fields__}


def test_mnist1d_is_the_published_set():
    task = load_task("mnist1d")
    everything = torch.cat([task.x_train, task.x_val, task.x_test])
    assert float(everything.mean()) == pytest.approx(0, abs=1e-6)
    assert float(everything.std(correction=0)) == pytest.approx(1, abs=1e-6)
    # 500 of each digit in the published 5,000
    assert torch.bincount(torch.cat([task.y_train, task.y_val, task.y_test])).tolist() == [500] * 10


def test_preprocess_turns_raw_into_x():
    from sklearn.datasets import load_digits

    task, raw = load_task("digits"), torch.from_numpy(load_digits().images).float()
    x = raw * task.preprocess["scale"] + task.preprocess["offset"]
    parts = torch.cat([task.x_train, task.x_val, task.x_test]).squeeze(1)
    assert sorted(keys(x)) == sorted(keys(parts))  # every image is in exactly one part


# splits


@pytest.mark.parametrize(("n", "fraction", "at_most", "expected"), [(100, 0.1, 5000, 10), (100, 0.1, 4, 4), (3, 0.1, 5000, 1)])
def test_split_validation_takes_what_it_should_and_keeps_the_order(n, fraction, at_most, expected):
    x, y = torch.arange(n).float().unsqueeze(1), torch.arange(n) % 5
    x_train, y_train, x_val, y_val = split_validation(x, y, fraction=fraction, at_most=at_most)
    assert len(x_val) == expected == len(y_val)
    assert sorted([*x_train.flatten().tolist(), *x_val.flatten().tolist()]) == list(range(n))
    assert x_train.flatten().tolist() == sorted(x_train.flatten().tolist())
    assert torch.equal(y_train, x_train.flatten().long() % 5)
    assert torch.equal(y_val, x_val.flatten().long() % 5)


def test_stratified_mask_is_balanced_and_random_only_by_its_seed():
    y = torch.tensor([0] * 90 + [1] * 10)
    mask = stratified_mask(y, 20)
    assert y[mask].bincount().tolist() == [18, 2]
    assert torch.equal(mask, stratified_mask(y, 20))
    assert not torch.equal(mask, stratified_mask(y, 20, seed=1))


# augmentation


@pytest.mark.parametrize(("augment", "pixels", "flips"), [(shift_flip, 2, True), (shift, 1, False)])
def test_augmented_images_are_shifts_and_mirrors_of_their_own_image(augment, pixels, flips):
    x = torch.randn(200, 2, 6, 5)
    original, background = x.clone(), float(x.amin())
    y = augment(x, torch.Generator().manual_seed(0))
    assert y.shape == x.shape
    assert torch.equal(x, original)
    padded = torch.nn.functional.pad(x, (pixels,) * 4, value=background)
    seen = set()
    for dy in range(2 * pixels + 1):
        for dx in range(2 * pixels + 1):
            window = padded[:, :, dy : dy + 6, dx : dx + 5]
            for mirrored in (False, True):
                same = (y == (window.flip(3) if mirrored else window)).flatten(1).all(1)
                seen |= {(int(i), dy, dx, mirrored) for i in same.nonzero()}
    assert {i for i, *_ in seen} == set(range(200))  # every item is explained by its own image
    assert len({(dy, dx) for _, dy, dx, _ in seen}) == (2 * pixels + 1) ** 2  # and every shift occurs
    assert {mirrored for *_, mirrored in seen} == ({False, True} if flips else {False})


def test_a_jittered_signal_is_its_own_rotated_by_up_to_two_steps_and_a_little_noise():
    x = torch.randn(200, 1, 40)
    original = x.clone()
    y = shift_jitter(x, torch.Generator().manual_seed(0))
    assert torch.equal(x, original)
    distances = torch.stack([(y - x.roll(steps, 2)).square().mean((1, 2)).sqrt() for steps in range(-2, 3)])  # (5, 200)
    assert (distances.amin(0) < 0.1).all()
    assert set(distances.argmin(0).tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize("augment", [shift_flip, shift, shift_jitter])
def test_augmentation_draws_from_its_generator_only(augment):
    x = torch.randn(50, 1, 40) if augment is shift_jitter else torch.randn(50, 1, 8, 8)
    first = augment(x, torch.Generator().manual_seed(5))
    torch.manual_seed(99)
    assert torch.equal(first, augment(x, torch.Generator().manual_seed(5)))
    assert not torch.equal(first, augment(x, torch.Generator().manual_seed(6)))


# the user's own data


def arrays(**changes) -> dict[str, np.ndarray]:
    """A sound data set of 3 classes, with keys replaced, or left out when None."""
    rng = np.random.default_rng(0)
    sound = {
        "x_train": rng.normal(size=(60, 2, 5)),
        "y_train": np.arange(60) % 3,
        "x_test": rng.normal(size=(12, 2, 5)),
        "y_test": np.arange(12) % 3,
    }
    return {key: value for key, value in {**sound, **changes}.items() if value is not None}


def save(folder, **changes):
    np.savez(folder / "mine.npz", **arrays(**changes))
    return str(folder / "mine.npz")


def test_npz_is_split_and_cast(tmp_path):
    task = load_task(save(tmp_path))
    assert (len(task.x_train), len(task.x_val), len(task.x_test)) == (54, 6, 12)
    assert (task.name, task.input_shape, task.class_names) == ("mine", (2, 5), ("0", "1", "2"))
    assert (task.x_train.dtype, task.y_train.dtype) == (torch.float32, torch.int64)
    np.testing.assert_array_equal(task.x_test.numpy(), arrays()["x_test"].astype(np.float32))


def test_npz_with_its_own_validation_set_and_names_in_a_table_of_features(tmp_path):
    x = np.arange(24, dtype=np.uint8).reshape(12, 2)
    changes = {"x_train": x, "y_train": np.arange(12) % 2, "x_val": x[:3], "y_val": np.array([0, 1, 1], np.uint8)}
    task = load_task(save(tmp_path, **changes, x_test=x, y_test=np.arange(12) % 2, class_names=np.array(["cat", "dog", "cow"])))
    assert (len(task.x_train), task.y_val.tolist(), task.input_shape) == (12, [0, 1, 1], (2,))
    assert (task.class_names, task.n_outputs) == (("cat", "dog", "cow"), 3)


def spoiled(value: float) -> np.ndarray:
    x = arrays()["x_test"].copy()
    x[3, 1, 2] = value
    return x


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"y_test": None}, "y_test", "missing"),
        ({"x_val": np.zeros((3, 2, 5))}, "y_val", "missing"),
        ({"x_valid": np.zeros((3, 2, 5))}, "x_valid", "x_val"),
        ({"y_train": np.arange(59) % 3}, "y_train", "(60,)"),
        ({"y_train": np.zeros((60, 1), int)}, "y_train", "(60, 1)"),
        ({"x_test": spoiled(np.nan)}, "x_test", "1 values"),
        ({"x_test": spoiled(np.inf)}, "x_test", "1 values"),
        ({"x_test": spoiled(1e300)}, "x_test", "float32"),
        ({"y_train": (np.arange(60) % 3).astype(float)}, "y_train", "float64"),
        ({"y_test": np.array(["a"] * 12)}, "y_test", "<U1"),
        ({"y_train": np.arange(60) % 3 - 1}, "y_train", "-1"),
        ({"y_train": np.arange(60) % 3 + 1}, "y_train", "3"),
        ({"y_train": np.arange(60) % 3 * 1000}, "y_train", "2000"),
        ({"y_test": np.arange(12) % 4}, "y_test", "0..2"),
        ({"y_test": -np.ones(12, int)}, "y_test", "-1"),
        ({"class_names": np.array(["a", "b"])}, "y_train", "0..1"),
        ({"class_names": np.array([1, 2, 3])}, "class_names", "strings"),
        ({"x_test": np.zeros((12, 2, 6))}, "x_test", "(2, 5)"),
        ({"x_train": np.zeros(60)}, "x_train", "(60,)"),
        ({"x_train": np.zeros((0, 2, 5))}, "x_train", "(0, 2, 5)"),
        ({"x_train": np.zeros((60, 2, 5), complex)}, "x_train", "complex128"),
        ({"x_train": np.zeros((1, 2, 5)), "y_train": np.zeros(1, int), "y_test": np.zeros(12, int)}, "x_train", "2 or"),
    ],
)
def test_bad_npz_is_one_line_that_names_file_key_and_value(tmp_path, changes, key, says):
    path = save(tmp_path, **changes)
    with pytest.raises(BadInput) as caught:
        load_task(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in (path, key, says, "allowed: ")), message


def pickled(path):
    np.savez(path, **arrays(class_names=np.array(["a", "b", None], dtype=object)))


def truncated(path):
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:-400])


def flipped_bytes(path):
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    content[400:420] = bytes(255 - byte for byte in content[400:420])
    path.write_bytes(bytes(content))


def a_single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    "write",
    [pickled, truncated, flipped_bytes, a_single_array, lambda path: path.write_bytes(b""), lambda path: None],
    ids=["pickled", "truncated", "flipped_bytes", "a_single_array", "empty", "absent"],
)
def test_unreadable_npz_is_one_line_that_names_the_file(tmp_path, write):
    write(tmp_path / "bad.npz")
    with pytest.raises(BadInput) as caught:
        load_task(str(tmp_path / "bad.npz"))
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in (str(tmp_path / "bad.npz"), "allowed: ")), message


def test_unknown_task_lists_the_known_ones():
    with pytest.raises(BadInput, match=r"'mnist'.*digits, fashion_mnist, mnist1d"):
        load_task("mnist")


# Fashion-MNIST's files


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    return gzip.compress(header + array.astype(np.uint8).tobytes())


def test_fashion_mnist_reads_the_folder_in_edgebook_data(tmp_path, monkeypatch):
    rng, labels = np.random.default_rng(0), np.arange(40) % 10
    images = rng.integers(0, 256, (40, 28, 28))
    for part, n in (("train", 40), ("t10k", 20)):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images[:n]))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels[:n]))
    monkeypatch.setenv("EDGEBOOK_DATA", str(tmp_path))
    task = load_task("fashion_mnist")
    assert (len(task.x_train), len(task.x_val), len(task.x_test)) == (36, 4, 20)
    assert task.y_test.tolist() == labels[:20].tolist()
    expected = (images[:20, None] / 255 - 0.2860) / 0.3530
    np.testing.assert_allclose(task.x_test.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    "content",
    [b"", b"plain", gzip.compress(b"abc"), idx(np.zeros((2, 3)))[:-12], gzip.compress(b"\0\0\x08\x01\0\0\0\x05four")],
    ids=["empty", "not_gzip", "no_header", "cut_gzip", "too_few_bytes"],
)
def test_a_broken_idx_file_is_bad_input(tmp_path, content):
    file = tmp_path / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(content)
    with pytest.raises(BadInput, match=r"t10k-labels-idx1-ubyte\.gz"):
        fashion_mnist.read_idx(file)


@pytest.mark.parametrize("error", [OSError("no network"), ValueError("MD5 hash does not match\nsecond line")])
def test_fashion_mnist_without_data_or_network_says_how_to_get_it(tmp_path, monkeypatch, error):
    def no_download(*args, **kwargs):
        raise error

    monkeypatch.setattr("pooch.retrieve", no_download)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / project)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    monkeypatch.setenv("EDGEBOOK_DATA", str(tmp_path))
    with pytest.raises(BadInput) as caught:
        load_task("fashion_mnist")
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in ("apt-get install dataset-fashion-mnist", "EDGEBOOK_DATA", str(error)[:8]))


def test_importing_tasks_loads_no_heavy_library():
    import subprocess

    code = "import sys, edgebook.tasks; print(*({'sklearn', 'pooch', 'mnist1d', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

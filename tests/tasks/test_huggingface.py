"""Data sets that Hugging Face's library saved to disk."""

import io
import sys

import numpy as np
import pytest
import soundfile
from PIL import Image

from edgebook.errors import BadInput
from edgebook.tasks.formats import load_path

datasets = pytest.importorskip("datasets", reason="the extra huggingface is not installed")
N = 30


def save(folder, columns, **features):
    """A saved Dataset; `features` are those that columns do not show."""
    data = datasets.Dataset.from_dict(columns)
    for name, feature in features.items():
        data = data.cast_column(name, feature)
    data.save_to_disk(str(folder))
    return str(folder)


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (5, 4), value).save(buffer, "png")
    return buffer.getvalue()


def wav(value: float) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.full(2000, value), 8000, format="wav")
    return buffer.getvalue()


def test_numbers_and_named_labels(tmp_path):
    columns = {"a": np.arange(N) / 7, "b": np.arange(N) % 5, "label": np.arange(N) % 2}
    task = load_path(save(tmp_path / "plain", columns, label=datasets.ClassLabel(names=["off", "on"])))
    assert (task.name, task.input_shape, task.class_names) == ("plain", (2,), ("off", "on"))


def test_splits_are_those_of_the_data_set(tmp_path):
    parts = {}
    for name, n in (("train", 20), ("validation", 6), ("test", 8)):
        columns = {"s": [[float(i)] * 4 for i in range(n)], "label": [i % 2 for i in range(n)]}
        parts[name] = datasets.Dataset.from_dict(columns)
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "d")
    task = load_path(f"{tmp_path}/d")
    assert [len(x) for x in (task.x_train, task.x_val, task.x_test)] == [20, 6, 8]
    assert task.input_shape == (1, 4)


def test_images_and_recordings_that_it_holds(tmp_path):
    labels, names = [i % 2 for i in range(N)], datasets.ClassLabel(names=["off", "on"])
    images = {"picture": [{"bytes": png(7 * i), "path": None} for i in range(N)], "label": labels}
    task = load_path(save(tmp_path / "images", images, picture=datasets.Image(), label=names), standardize=False)
    assert (task.input_shape, task.class_names) == ((1, 4, 5), ("off", "on"))
    assert set(task.x_test[:, 0, 0, 0].tolist()) <= {7.0 * i for i in range(N)}
    sounds = {"audio": [{"bytes": wav(i / N), "path": None} for i in range(N)], "label": labels}
    task = load_path(save(tmp_path / "sounds", sounds, audio=datasets.Audio(decode=False), label=names), background=["off"])
    assert (task.input_shape[0], task.item_seconds, task.background) == (1, 0.25, (0,))


def test_what_cannot_be_used_is_one_line(tmp_path):
    images = {"picture": [{"bytes": b"", "path": None}] * N, "label": [i % 2 for i in range(N)]}
    with pytest.raises(BadInput, match="item 0 cannot be read: the data set names a file"):
        load_path(save(tmp_path / "named", images, picture=datasets.Image()))
    (tmp_path / "named" / "state.json").write_text("{")
    with pytest.raises(BadInput, match=r"cannot be read by datasets\.load_from_disk"):
        load_path(f"{tmp_path}/named")


def test_without_the_library_one_line_names_the_extra(tmp_path, monkeypatch):
    path = save(tmp_path / "plain", {"a": [0.0, 1.0], "label": [0, 1]})
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(BadInput, match=r"pip install 'edgebook\[huggingface\]'"):
        load_path(path)

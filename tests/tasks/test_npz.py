"""The user's own arrays: split, cast, and refused in one line that names what is wrong."""

import io
import struct
import zipfile

import numpy as np
import pytest
import torch

from edgebook.errors import BadInput
from edgebook.tasks import load_task
from edgebook.tasks.npz import LEVELS, TRANSPOSED
from edgebook.tasks.scoring_only import load_for_scoring


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


def test_two_classes_are_enough(tmp_path):
    labels = {"y_train": np.arange(60) % 4 // 3, "y_test": np.arange(12) % 4 // 3}  # three quarters are 0
    task = load_task(save(tmp_path, **labels))
    assert (task.n_outputs, task.class_names) == (2, ("0", "1"))
    assert task.metric.chance(task.y_test.numpy()) == 0.75


def test_npz_with_its_own_validation_set_and_names_in_a_table_of_features(tmp_path):
    x = np.arange(24, dtype=np.uint8).reshape(12, 2)
    changes = {"x_train": x, "y_train": np.arange(12) % 3, "x_val": x[:3], "y_val": np.array([0, 1, 1], np.uint8)}
    task = load_task(save(tmp_path, **changes, x_test=x, y_test=np.arange(12) % 2, class_names=np.array(["cat", "dog", "cow"])))
    assert (len(task.x_train), task.y_val.tolist(), task.input_shape) == (12, [0, 1, 1], (2,))
    assert (task.class_names, task.n_outputs) == (("cat", "dog", "cow"), 3)


def test_labels_are_texts_or_any_whole_numbers(tmp_path):
    names = np.array(["left", "right", "idle"])
    task = load_task(save(tmp_path, y_train=names[np.arange(60) % 3], y_test=names[np.arange(12) % 3]))
    assert task.class_names == ("idle", "left", "right")
    assert task.y_test[:3].tolist() == [1, 2, 0]
    numbers = np.array([10, -1, 200])
    task = load_task(save(tmp_path, y_train=numbers[np.arange(60) % 3], y_test=numbers[np.arange(12) % 3]))
    assert task.class_names == ("-1", "10", "200")
    assert task.y_test[:3].tolist() == [1, 0, 2]
    assert task.preprocess["classes"] == {"-1": "-1", "10": "10", "200": "200"}


def test_values_make_a_regression_and_masks_a_segmentation(tmp_path):
    y = np.random.default_rng(1).normal(size=(72, 2))
    task = load_task(save(tmp_path, y_train=y[:60], y_test=y[60:]))
    assert (task.kind_name, task.n_outputs) == ("regression", 2)
    np.testing.assert_array_equal(task.y_test.numpy(), y[60:].astype(np.float32))
    x, masks = np.zeros((72, 1, 4, 6)), np.arange(72 * 24).reshape(72, 4, 6) % 3 * 7
    task = load_task(save(tmp_path, x_train=x[:60], x_test=x[60:], y_train=masks[:60], y_test=masks[60:]))
    assert (task.kind_name, task.class_names) == ("segmentation", ("0", "7", "14"))
    np.testing.assert_array_equal(task.y_test.numpy(), masks[60:] // 7)


def test_images_with_channels_last_and_raw_levels_are_recognised_and_said(tmp_path):
    """(n, H, W, C) would be trained as H channels, levels 0..255 hardly at all. What is no image stays as it is."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (72, 10, 12, 3), np.uint8)
    task = load_task(save(tmp_path, x_train=x[:60], x_test=x[60:]))
    assert task.input_shape == (3, 10, 12)
    assert task.notes == (TRANSPOSED, LEVELS)
    assert task.preprocess["raw"] == "levels, 0..255"
    torch.testing.assert_close(task.x_train.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    scale, offset = (torch.tensor(task.preprocess[name]).reshape(3, 1, 1) for name in ("scale", "offset"))
    raw = torch.from_numpy(x[60:].astype(np.float32)).permute(0, 3, 1, 2)
    torch.testing.assert_close(task.x_test, raw * scale + offset, atol=1e-4, rtol=1e-4)
    as_given = load_for_scoring(str(tmp_path / "mine.npz"))  # files of others take what their makers fed them
    torch.testing.assert_close(as_given.x_test, raw)
    for shape in [(72, 3, 10, 12), (72, 9, 128, 1), (72, 2, 4, 4), (72, 6, 8)]:
        x = rng.random(shape)
        task = load_task(save(tmp_path, x_train=x[:60], x_test=x[60:]))
        assert (task.input_shape, task.notes) == (shape[1:], ())


def test_an_anomaly_task_learns_from_normal_items_only(tmp_path):
    labels = {"kind": np.array("anomaly"), "y_train": np.arange(60) % 10 == 9, "y_test": np.arange(12) % 2}
    task = load_task(save(tmp_path, **labels, x_val=np.zeros((4, 2, 5)), y_val=np.array([0, 1, 0, 1])))
    assert (task.kind_name, task.class_names, len(task.x_train)) == ("anomaly", ("normal", "anomalous"), 54)
    assert (task.y_train.sum(), task.y_test.sum()) == (0, 6)


def test_whole_arrays_are_split_by_group(tmp_path):
    groups, y = np.arange(300) // 10, np.arange(300) % 3
    x = np.tile(np.arange(300.0)[:, None], 4)
    np.savez(tmp_path / "mine.npz", x=x, y=y, groups=groups)
    task = load_task(str(tmp_path / "mine.npz"))
    parts = {split: set(task.groups[split].tolist()) for split in ("train", "val", "test")}
    assert sum(len(part) for part in parts.values()) == len(set.union(*parts.values())) == 30
    assert len(task.x_train) + len(task.x_val) + len(task.x_test) == 300
    assert 40 <= len(task.x_test) <= 80
    for split in parts:  # x is the number of the item: it still stands beside its own group and label
        numbers = getattr(task, f"x_{split}")[:, 0].long()
        assert (numbers // 10).tolist() == [int(group) for group in task.groups[split]]
        assert (numbers % 3 == getattr(task, f"y_{split}")).all()


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
        ({"y_train": np.zeros((60, 1), int)}, "y_test", "y_train"),
        ({"x_test": spoiled(np.nan)}, "x_test[3]", "NaN"),
        ({"x_test": spoiled(np.inf)}, "x_test[3]", "infinite"),
        ({"x_test": spoiled(1e300)}, "x_test", "float32"),
        ({"y_train": (np.arange(60) % 3).astype(float), "y_test": np.zeros(12)}, "labels", "float64"),
        ({"y_test": np.array(["a"] * 12)}, "y_test", "<U1"),
        ({"y_test": np.arange(12) % 4}, "x_test[3]", "label 3"),
        ({"y_test": -np.ones(12, int)}, "x_test[0]", "label -1"),
        ({"class_names": np.array(["a", "b"])}, "x_train[2]", "0..1"),
        ({"class_names": np.array(["a", "b", "c", "d"])}, "class 'd'", "no item in train"),
        ({"class_names": np.array(["a", "b", "a"])}, "class_names", "twice"),
        ({"y_train": np.zeros(60, int), "y_test": np.zeros(12, int)}, "one label", "two classes"),
        ({"x": np.zeros((60, 2, 5)), "y": np.arange(60) % 3}, "x_train", "stands beside x and y"),
        ({"groups": np.array(["a"] * 72)}, "group a", "train and in test"),
        ({"groups": np.arange(71)}, "groups", "(72,)"),
        ({"groups_train": np.arange(60)}, "groups_train", "groups for each"),
        ({"kind": np.array("sorting")}, "kind", "classification"),
        ({"kind": np.array(3)}, "kind", "one text"),
        ({"class_names": np.array([1, 2, 3])}, "class_names", "strings"),
        ({"x_test": np.zeros((12, 2, 6))}, "x_test", "(2, 5)"),
        ({"x_train": np.zeros(60)}, "x_train", "(60,)"),
        ({"x_train": np.zeros((0, 2, 5))}, "x_train", "(0, 2, 5)"),
        ({"x_train": np.zeros((60, 2, 5), complex)}, "x_train", "complex128"),
        ({"x_train": np.zeros((1, 2, 5)), "y_train": np.zeros(1, int), "y_test": np.zeros(12, int)}, "1 item", "2 items or"),
    ],
)
def test_bad_npz_is_one_line_that_names_file_key_and_value(tmp_path, changes, key, says):
    path = save(tmp_path, **changes)
    with pytest.raises(BadInput) as caught:
        load_task(path)
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in (path, key, says)), message
    assert "allowed: " in message or "known: " in message


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


def encrypted(path):
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    for start, flag in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = content.find(start)
        while place >= 0:
            content[place + flag] |= 1
            place = content.find(start, place + 1)
    path.write_bytes(bytes(content))


def of_a_trillion(path):
    """A header that says 1e12 items."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": (10**12, 2, 5)})
    write_members(path, {"x_train.npy": buffer.getvalue()})


def of_zeros_without_end(path):
    """A member that says it has 2**50 bytes."""
    write_members(path, {"x_train.npy": b"\x93NUMPY"})
    content, size = path.read_bytes(), struct.pack("<I", 6)
    place = content.find(b"PK\x01\x02") + 24
    assert content[place : place + 4] == size
    path.write_bytes(content[:place] + struct.pack("<I", 2**32 - 2) + content[place + 4 :])


def foreign_members(path):
    write_members(path, {"x_train.txt": b"1 2 3", "x_test": b"", "y_train/": b"", "../y_test.npy": b"x"})


def write_members(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def a_single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize(
    "write",
    [pickled, truncated, flipped_bytes, encrypted, of_a_trillion, of_zeros_without_end, foreign_members, a_single_array],
)
def test_unreadable_npz_is_one_line_that_names_the_file(tmp_path, write):
    write(tmp_path / "bad.npz")
    refused(tmp_path)


def test_an_empty_or_absent_npz_is_one_line_too(tmp_path):
    refused(tmp_path)
    (tmp_path / "bad.npz").touch()
    refused(tmp_path)


def refused(tmp_path):
    with pytest.raises(BadInput) as caught:
        load_task(str(tmp_path / "bad.npz"))
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in (str(tmp_path / "bad.npz"), "allowed: ")), message

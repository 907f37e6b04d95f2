"""The user's own arrays: split, cast, and refused in one line that names what is wrong."""

import numpy as np
import pytest
import torch

from edgebook.errors import BadInput
from edgebook.tasks import load_task


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

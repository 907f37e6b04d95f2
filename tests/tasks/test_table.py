"""The user's own tables: one row per item or per item and time; columns by name, one line for what cannot be used."""

import csv

import numpy as np
import pytest

from edgebook.errors import BadInput
from edgebook.tasks import load_task
from edgebook.tasks.formats import load_path

N = 120


def wide(path, *, n=N, label_name="beat", separator=",", **columns):
    """A table of two features, a label with two texts and a group; `columns` replace or add some, None leaves out."""
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(5, 2, n), "b": rng.normal(size=n), "patient": [f"p{i // 4}" for i in range(n)]}
    table |= {label_name: ["normal" if i % 4 else "ectopic" for i in range(n)], **columns}
    table = {name: values for name, values in table.items() if values is not None}
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(table)
        writer.writerows(zip(*table.values()))
    return table


def said(path, **settings) -> str:
    with pytest.raises(BadInput) as caught:
        load_path(str(path), **settings)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_wide_table(tmp_path, separator):
    table = wide(tmp_path / "heart.csv", separator=separator)
    task = load_path(str(tmp_path / "heart.csv"), label="beat", group="patient", standardize=False)
    assert (task.name, task.input_shape, task.class_names) == ("heart", (2,), ("ectopic", "normal"))
    assert task.preprocess["columns"] == ["a", "b"]
    everything = np.concatenate([getattr(task, f"x_{split}")[:, 0].numpy() for split in ("train", "val", "test")])
    np.testing.assert_array_equal(np.sort(everything), np.sort(np.float32(table["a"])))


def test_features_are_brought_to_mean_0_and_deviation_1_of_the_training_items(tmp_path):
    wide(tmp_path / "heart.csv", c=np.full(N, 7.0))
    task = load_path(str(tmp_path / "heart.csv"), label="beat", ignore=["patient"])
    raw = load_path(str(tmp_path / "heart.csv"), label="beat", ignore=["patient"], standardize=False)
    x = task.x_train.double()
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(x.std(0, correction=0), [1, 1, 0], atol=1e-6)
    scale, offset = (np.array(task.preprocess[key]) for key in ("scale", "offset"))
    np.testing.assert_allclose(raw.x_test.numpy() * scale + offset, task.x_test.numpy(), atol=1e-5)


def test_the_label_is_found_by_its_name_and_classes_by_their_order(tmp_path):
    wide(tmp_path / "heart.csv", label_name="Label", patient=None)
    assert load_task(str(tmp_path / "heart.csv")).class_names == ("ectopic", "normal")
    task = load_path(str(tmp_path / "heart.csv"), classes=["normal", "ectopic"])
    assert task.class_names == ("normal", "ectopic")
    assert (task.y_test == 0).float().mean() == pytest.approx(0.75, abs=0.05)


def test_labels_that_are_merged_into_classes(tmp_path):
    beats = ["N", "L", "V", "A"]
    wide(tmp_path / "heart.csv", patient=None, beat=[beats[i % 4] for i in range(N)])
    mapping = {"N": "normal", "L": "normal", "V": "ectopic", "A": "ectopic"}
    task = load_path(str(tmp_path / "heart.csv"), label="beat", classes=mapping)
    assert task.class_names == ("normal", "ectopic")
    assert task.preprocess["classes"] == {"L or N": "normal", "A or V": "ectopic"}


def test_columns_of_a_row_are_a_sequence_of_channels(tmp_path):
    x = np.arange(N * 6.0).reshape(N, 6)
    columns = {f"s{i}": x[:, i] for i in range(6)}
    wide(tmp_path / "motion.csv", a=None, b=None, patient=None, **columns)
    task = load_path(str(tmp_path / "motion.csv"), label="beat", channels=2, standardize=False)
    assert task.input_shape == (2, 3)
    first = task.x_test[0].numpy()
    np.testing.assert_array_equal(first - first[0, 0], [[0, 1, 2], [3, 4, 5]])


def long(path, **columns):
    """30 items of 5 rows in mixed order: channel u is 10 * item + time."""
    order = np.random.default_rng(0).permutation(150)
    item, time = order // 5, order % 5
    table = {"id": item, "t": time, "u": 10.0 * item + time, "v": -time, "label": np.array(["up", "down"])[item % 2], **columns}
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values()))


def test_a_long_table(tmp_path):
    long(tmp_path / "motion.csv")
    task = load_path(str(tmp_path / "motion.csv"), item="id", time="t", standardize=False)
    assert task.input_shape == (2, 5)
    for x, y in zip(task.x_train, task.y_train):
        item = int(x[0, 0]) // 10
        np.testing.assert_array_equal(x.numpy(), [[10 * item + t for t in range(5)], [-t for t in range(5)]])
        assert task.class_names[y] == ("up", "down")[item % 2]
    cut = load_path(str(tmp_path / "motion.csv"), item="id", time="t", length=3, standardize=False)
    assert cut.input_shape == (2, 3)
    assert cut.notes == ("30 items are cut to 3 rows",)


def test_broken_rows_are_named_or_left_out(tmp_path):
    a = np.random.default_rng(0).normal(size=N)
    a[7] = np.nan
    beats = ["normal" if i % 4 else "ectopic" for i in range(N)]
    beats[11] = ""
    wide(tmp_path / "heart.csv", a=a, beat=beats, patient=None)
    message = said(tmp_path / "heart.csv", label="beat")
    assert "row 9 has a value that is NaN" in message
    assert "row 13 has no beat" in message
    task = load_path(str(tmp_path / "heart.csv"), label="beat", broken="skip")
    assert len(task.x_train) + len(task.x_val) + len(task.x_test) == N - 2
    assert "2 broken items are left out: row 9" in task.notes[0]


def test_items_of_a_long_table_that_are_broken(tmp_path):
    rows = ["id,t,u,label", "1,0,0,a", "1,1,0,a", "2,0,0,a", "3,0,0,a", "3,0,1,a", "4,0,0,a", "4,1,0,b"]
    rows += [f"{i},{t},0,{'ab'[i % 2]}" for i in range(5, 40) for t in range(2)]
    (tmp_path / "motion.csv").write_text("\n".join(rows))
    message = said(tmp_path / "motion.csv", item="id", time="t")
    assert "item 2 has 1 rows where 2 are needed" in message
    assert "item 3 has two rows with the time 0" in message
    assert "item 4 has two labels: a and b" in message
    assert len(load_path(str(tmp_path / "motion.csv"), item="id", time="t", broken="skip").x_test) == 7


def test_values_are_a_regression_in_their_own_unit_or_scaled(tmp_path):
    rng = np.random.default_rng(0)
    ppm = rng.normal(400, 30, N)
    wide(tmp_path / "gas.csv", beat=None, patient=None, ppm=ppm)
    task = load_path(str(tmp_path / "gas.csv"), label="ppm")
    assert (task.kind_name, task.y_train.shape[1]) == ("regression", 1)
    target = task.preprocess["target"]
    back = np.concatenate([getattr(task, f"y_{split}").numpy() for split in ("train", "val", "test")])
    np.testing.assert_allclose(np.sort(back * target["scale"] + target["offset"], 0)[:, 0], np.sort(ppm), rtol=1e-5)
    assert load_path(str(tmp_path / "gas.csv"), label="ppm", standardize=False).y_train.mean() > 300


def test_parquet_with_lists(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    x = np.arange(60 * 2 * 4.0).reshape(60, 2, 4)
    columns = {"u": list(x[:, 0]), "v": list(x[:, 1]), "label": [i % 2 for i in range(60)]}
    parquet.write_table(pa.table(columns), tmp_path / "motion.parquet")
    task = load_path(str(tmp_path / "motion.parquet"), standardize=False)
    assert task.input_shape == (2, 4)
    assert sorted(task.x_train[:, 0, 0].tolist() + task.x_val[:, 0, 0].tolist() + task.x_test[:, 0, 0].tolist()) == sorted(
        x[:, 0, 0]
    )


def test_splits_that_are_given(tmp_path):
    splits = ["train", "test", "val"]
    wide(tmp_path / "heart.csv", patient=None, part=[splits[i % 3] for i in range(N)])
    task = load_path(str(tmp_path / "heart.csv"), label="beat", split="part")
    assert [len(x) for x in (task.x_train, task.x_val, task.x_test)] == [N // 3] * 3


@pytest.mark.parametrize(
    ("columns", "settings", "says"),
    [
        ({}, {}, "no column is called label, class, target, y; allowed: label: one of a, b, patient, beat"),
        ({"y": range(N), "label": range(N)}, {}, "columns y, label may all be the label"),
        ({}, {"label": "beats"}, "no column 'beats'; allowed: a, b, patient, beat"),
        ({}, {"label": "beat"}, "column 'patient' holds string, such as 'p0'"),
        ({}, {"label": "beat", "features": ["a", "beat"]}, "features has beat, which is something else"),
        ({}, {"label": "beat", "ignore": ["a", "b", "patient"]}, "no column is left for x"),
        ({}, {"label": "beat", "kind": "regression", "ignore": ["patient"]}, "row 2 has the label 'ectopic'; allowed: numbers"),
        ({}, {"label": "a", "kind": "classification", "features": ["b"]}, "the labels are of dtype float64"),
        ({"beat": ["one"] * N}, {"label": "beat", "ignore": ["patient"]}, "all items have one label, one"),
        ({"beat": range(N)}, {"label": "beat", "ignore": ["patient"]}, "120 different numbers"),
        ({}, {"label": "beat", "ignore": ["patient"], "channels": 3}, "channels = 3 of 2 columns"),
        ({}, {"label": "beat", "ignore": ["patient"], "classes": ["normal"]}, "row 2 has the label 'ectopic'; allowed: classes"),
        ({}, {"label": "beat", "split": "patient"}, "no item is in test and train"),
        ({"patient": ["p"] * N}, {"label": "beat", "group": "patient"}, "1 group to train on; allowed: 2 groups or more"),
        ({}, {"label": "beat", "ignore": ["patient"], "metric": "auc"}, "metric = 'auc'"),
        ({}, {"label": "beat", "audio": {"rate": 8000}, "ignore": ["patient"]}, "audio means nothing here"),
        ({}, {"label": "beat", "ignore": ["patient"], "test_share": 0}, "test_share = 0: Input should be greater than 0"),
        ({}, {"label": "a", "class_weights": True, "ignore": ["patient", "beat"]}, "there are no classes"),
        ({}, {"label": "beat", "kind": "anomaly", "ignore": ["patient"], "normal": "fine"}, "no item has the label 'fine'"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, columns, settings, says):
    wide(tmp_path / "heart.csv", **columns)
    assert says in said(tmp_path / "heart.csv", **settings)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is not a table: Empty CSV file"),
        (b"a,label\n", "has no rows"),
        (b"a,b,label\n1,2,x\n1,2\n", "Expected 3 columns, got 2"),
        (b"a,a,label\n1,2,x\n", "two columns are called 'a'"),
        (b"\xff\xfe\x00\x01", "is not a table"),
    ],
)
def test_a_text_that_is_no_table_is_one_line(tmp_path, content, says):
    (tmp_path / "bad.csv").write_bytes(content)
    assert says in said(tmp_path / "bad.csv")


def test_a_broken_parquet_file_is_one_line(tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 and nothing more PAR1")
    assert "is not a table" in said(tmp_path / "bad.parquet")


def test_a_description_stands_in_a_file_beside_the_data(tmp_path):
    (tmp_path / "data").mkdir()
    wide(tmp_path / "data" / "beats.csv")
    (tmp_path / "heart.yaml").write_text("{path: data/beats.csv, label: beat, group: patient, metric: balanced_accuracy}")
    task = load_task(str(tmp_path / "heart.yaml"))
    assert (task.name, task.metric.name, task.description["label"]) == ("heart", "balanced_accuracy", "beat")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{label: beat}", "path = None"),
        ("{path: absent.csv}", "absent.csv: no such file"),
        ("{path: heart.yaml}", "not another description"),
        ("{path: beats.csv, lable: beat}", "lable is unknown; allowed: path"),
        ("{path: beats.csv, item: beat}", "item and time belong together"),
        ("{path: beats.csv, kind: sorting}", "kind = 'sorting' is unknown; allowed: classification"),
        ("[1, 2]", "a mapping is needed"),
        ("{path: beats.csv, audio: {rat: 3}}", "audio.rat is unknown; allowed: features, rate"),
    ],
)
def test_a_wrong_description_is_one_line(tmp_path, text, says):
    wide(tmp_path / "beats.csv")
    (tmp_path / "heart.yaml").write_text(text)
    with pytest.raises(BadInput) as caught:
        load_task(str(tmp_path / "heart.yaml"))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_class_weights_are_those_of_scikit_learn(tmp_path):
    from sklearn.utils.class_weight import compute_class_weight

    wide(tmp_path / "heart.csv", patient=None)
    settings = {"label": "beat", "metric": "balanced_accuracy"}
    task, plain = (load_path(str(tmp_path / "heart.csv"), **settings, class_weights=weights) for weights in (True, False))
    expected = compute_class_weight("balanced", classes=np.array([0, 1]), y=task.y_train.numpy())
    np.testing.assert_allclose(task.class_weights, expected, atol=1e-5)
    assert plain.class_weights == ()
    assert plain.fingerprint != task.fingerprint

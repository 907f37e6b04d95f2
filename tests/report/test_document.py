"""One document: the page, rows.csv and pick read the same rows and give the same answers."""

from __future__ import annotations

import csv
import io

import pytest
from example_rows import all_wrong, baselines, example, recurrent
from example_rows import rows as example_rows

from edgebook.errors import BadInput
from edgebook.experiment.finalists import finalists
from edgebook.report.aggregate import files, merge
from edgebook.report.document import cases, read, to_csv
from edgebook.rows import COLUMNS, OBJECTS, write_rows
from edgebook.run_folder import write_run


def test_one_case_per_model_and_setting_this_host_first():
    npu = example("npu", score=0.9, val=0.9, size=1, latency=None, family="prune", method="p", device="ethos", threads=None)
    found = cases([npu, *baselines(), *recurrent(), baselines()[0] | {"batch_size": 8, "row_id": "b8"}])
    assert [(case.title, case.setting) for case in found] == [
        ("mnist1d · conv1d", "on host, 1 thread, 1 item per call"),
        ("mnist1d · conv1d", "on host, 1 thread, 8 items per call"),
        ("mnist1d · conv1d", "on ethos, 1 item per call"),
        ("mnist1d · gru", "on host, 1 thread, 1 item per call"),
    ]
    assert len(found[2].beside) == 6
    assert [case.has("latency_ms_p50") for case in found] == [True, True, False, True]
    assert found[2].has("size_bytes")
    assert not cases(all_wrong())[0].has("size_bytes")
    assert found[2].answer().text.startswith("Nothing to recommend" if found[2].answer().row is None else "Ship npu")


def test_rows_without_figures_stand_once():
    found = cases([*baselines(), baselines()[0] | {"threads": 2, "row_id": "t2"}, *all_wrong()])
    assert [sum(row["status"] != "ok" for row in case.rows) for case in found] == [3, 0]
    (alone,) = cases(all_wrong())
    assert (alone.setting, alone.answer().text) == ("", "Nothing to recommend: no version could be measured.")
    assert cases([row | {"task": None} for row in all_wrong()]) == []


def test_the_baseline_of_another_setting_judges(tmp_path):
    npu = example("npu", score=0.93, val=0.937, size=1, latency=None, family="prune", method="p", runtime="vela", device="ethos")
    assert cases([npu, *baselines()])[1].answer().row["label"] == "npu"
    bad = [row | {"score": 0.11, "score_lo": 0.1} for row in baselines()]
    assert cases([npu, *bad])[1].answer().row is None


def test_the_table_has_the_columns_of_the_contract_first(tmp_path):
    write_rows(tmp_path / "rows" / "a.jsonl", example_rows())
    text = to_csv(read(tmp_path))
    (head, *lines) = csv.reader(io.StringIO(text))
    plain = [name for name in COLUMNS if name not in OBJECTS]
    assert head[: len(plain)] == plain
    assert [name.partition(".")[0] for name in head[len(plain) :]] == sorted(
        (name.partition(".")[0] for name in head[len(plain) :]), key=list(OBJECTS).index
    )
    assert "asked.pruning_ratio" in head
    assert [line[head.index("row_id")] for line in lines] == [row["row_id"] for row in example_rows()]
    assert lines[0][head.index("delta")] == ""


def test_pages_and_problems_belong_to_the_document(tmp_path):
    write_rows(tmp_path / "rows" / "10_baseline.jsonl", baselines())
    with (tmp_path / "rows" / "10_baseline.jsonl").open("a") as file:
        file.write("{\n")
    for name in ("10_baseline", "95_explore", "old"):
        (tmp_path / "pages").mkdir(exist_ok=True)
        (tmp_path / "pages" / f"{name}.html").write_text("")
    document = read(tmp_path)
    assert (document.run, len(document.rows), len(document.problems)) == (tmp_path.name, 4, 1)
    assert document.executions == ["10_baseline", "10_baseline--mnist1d-conv1d--s0", "95_explore", "old"]
    write_run(tmp_path, "x", ["10_baseline", "95_explore"])
    assert "old" not in read(tmp_path).executions


def test_a_run_without_rows_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="no rows to show"):
        read(tmp_path)
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "a.jsonl").write_text("{\n{\n")
    with pytest.raises(BadInput, match=r"2 lines cannot be read, the first: a\.jsonl:1: "):
        read(tmp_path)
    (tmp_path / "rows" / "a.jsonl").write_text("")
    with pytest.raises(BadInput, match="no rows to show"):
        read(tmp_path)


def test_a_run_whose_notebooks_only_explain_has_pages_and_no_cases(tmp_path):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "00_primer.html").write_text("")
    document = read(tmp_path)
    assert (document.executions, document.rows, document.cases) == (["00_primer"], [], [])


def alike(case, shift, **shape):
    """A baseline and a version of one more network with the usual labels."""
    base = baselines()[0] | {"asked": {"model_shape": shape}}
    line = {"score": base["score"] + shift, "size": base["size_bytes"], "latency": {"onnx": base["latency_ms_p50"]}}
    figures = {"score": 0.937 + shift, "val": 0.9375 + shift, "size": 5000, "latency": 0.01}
    small = example("small", **figures, family="prune", method="p", base=line)
    rows = [base | {"score": 0.9372 + shift, "val_score": 0.938 + shift}, small]
    return [row | {"case": case, "row_id": f"{case}-{row['label']}", "sha256": f"{case}-{row['label']}"} for row in rows]


@pytest.mark.parametrize(
    ("shapes", "titles"),
    [
        (({"hidden": 32}, {"hidden": 64, "layers": 2}), ("(hidden 32, layers as usual)", "(hidden 64, layers 2)")),
        (({"hidden": 32}, {"hidden": 32}), ("(1 of 2)", "(2 of 2)")),  # two files of one name
        (({}, {}), ("(1 of 2)", "(2 of 2)")),
    ],
)
def test_networks_that_share_their_labels_are_neither_merged_nor_compared(shapes, titles):
    rows = [*alike("aaaaaa", 0.0, **shapes[0]), *(row | {"seed": 1} for row in alike("bbbbbb", -0.3, **shapes[1]))]
    found = cases(rows)
    assert [case.title for case in found] == [f"mnist1d · conv1d {title}" for title in titles]
    assert [{row["case"] for row in case.beside} for case in found] == [{"aaaaaa"}, {"bbbbbb"}]
    assert [case.answer().row["row_id"] for case in found] == ["aaaaaa-small", "bbbbbb-small"]
    assert len(merge(rows)) == len(files(rows)) == len(rows)
    assert [row["row_id"] for row in finalists([row | {"artifact": "x"} for row in rows])] == [row["row_id"] for row in rows]

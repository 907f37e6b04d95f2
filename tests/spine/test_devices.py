"""Boards: what fits is computed from a row's figures and the board's, and a board without figures is refused."""

import pytest

from edgebook import devices, rows
from edgebook.errors import BadInput
from edgebook.runtimes.base import RUNTIMES


def row(**values):
    known = {"runtime": "tflm", "precision": "int8-static", "size_bytes": 90_000, "arena_bytes": 50_000, "label": "net"}
    return rows.new_row(**{**known, "score": 0.9, "val_score": 0.9, "metric": "accuracy", **values})


def test_fit_is_the_board_less_the_file():
    board = devices.device("stm32f746")
    found = devices.fit(row(), board)
    assert found["fits"] is True
    assert found["margins"] == {"flash_bytes": 1_048_576 - 90_000, "ram_bytes": 327_680 - 50_000}
    large = devices.fit(row(arena_bytes=327_681), board)
    assert (large["fits"], large["margins"]["ram_bytes"], large["why"]) == (False, -1, "too much ram")
    assert devices.fit(row(runtime="onnx"), board)["fits"] is None


def test_latency_counts_only_where_it_is_the_boards():
    board, accelerator = devices.device("rp2040"), devices.device("corstone-300-u55-128")
    assert devices.fit(row(latency_ms_p50=9.0), board, latency_budget_ms=1.0)["fits"] is True
    npu = row(runtime="vela", device="ethos-u55-128", latency_ms_est=2.0)
    assert devices.fit(npu, accelerator, latency_budget_ms=1.0)["why"] == "too much latency"
    assert devices.fit(row(runtime="vela", device="ethos-u65-256"), accelerator)["fits"] is None


def test_board_without_figures_is_refused_by_name(tmp_path):
    file = tmp_path / "devices.yaml"
    file.write_text("my-board: {runtimes: [tflm], flash_bytes: 1000, source: a}\n")
    with pytest.raises(BadInput, match="my-board lacks ram_bytes"):
        devices.load_devices(file)
    file.write_text("my-board: {runtimes: [tflm], flash_bytes: 1000, ram_bytes: 1 MB, source: a}\n")
    with pytest.raises(BadInput, match="my-board: ram_bytes = '1 MB'"):
        devices.load_devices(file)


def test_every_board_has_a_source_and_runs_something_known():
    for board in devices.load_devices().values():
        assert len(board.source) > 10
        assert set(board.runtimes) <= set(RUNTIMES)

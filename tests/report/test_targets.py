"""The table of every target: which boards a file fits, and why not."""

from edgebook import devices, rows
from edgebook.report import targets as deploy


def row(**values):
    known = {"runtime": "tflm", "precision": "int8-static", "size_bytes": 90_000, "arena_bytes": 50_000, "label": "net"}
    return rows.new_row(**{**known, "score": 0.9, "val_score": 0.9, "metric": "accuracy", **values})


def test_truth_table_says_why_and_where():
    boards = devices.load_devices()
    missing = row(status="unsupported", error="tflm: no kernel for GELU; litert can", size_bytes=None)
    told = deploy.truth_table([row(), missing], boards).data
    assert "no kernel for GELU; litert can" in told
    lacking = [
        row(
            runtime=name,
            precision="fp16",
            status="unsupported",
            error=f"{name} has no fp16; it has fp32; litert can",
            size_bytes=None,
        )
        for name in ("tflm", "vela")
    ]
    (together,) = deploy.truth(lacking, boards)
    assert (together["runtime"], together["fits"]) == ("tflm, vela", "no fp16 there; litert can")
    line = deploy.truth([row(arena_bytes=270_000)], boards)[0]
    assert "nrf52840 (too much ram)" in line["fits"]
    assert "stm32h743" in line["fits"].split("; not")[0]
    assert "rp2040: net (tflm, int8-static)" in deploy.choices([row()], boards)
    assert "host: none of these files fits" in deploy.choices([row()], boards)
    assert deploy.boards([row()], boards).axes[0].get_xscale() == "log"

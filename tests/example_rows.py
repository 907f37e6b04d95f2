"""A small realistic run for tests of the report: two models, five runtimes, a sweep, seeds, and rows that failed."""

from __future__ import annotations

from typing import Any

from edgebook.metrics.intervals import wilson
from edgebook.metrics.verdicts import speed_verdict, verdict
from edgebook.naming import short_id
from edgebook.rows import new_row

MACHINE = {
    "cpu": "Intel Xeon @ 2.20GHz",
    "cores": 2,
    "flags": ["avx2", "avx512f", "avx512_vnni"],
    "governor": "none",
    "load": 0.31,
}
VERSIONS = {"torch": "2.12.1", "onnxruntime": "1.26.0", "ai-edge-litert": "2.3.0"}
N_TEST = 4000
FLOAT = {
    "score": 0.9372,
    "size": 23_104,
    "latency": {"onnx": 0.0318, "litert": 0.0291, "executorch": 0.0402, "torch": 0.1210},
}


def example(
    label: str,
    *,
    score: float,
    val: float,
    size: int,
    latency: float | None,
    family: str,
    method: str,
    runtime: str = "onnx",
    precision: str = "fp32",
    seed: int = 0,
    notebook: str = "20_prune_sweep",
    base: dict[str, Any] = FLOAT,
    task: str = "mnist1d",
    model: str = "conv1d",
    role: str | None = None,
    **values: Any,
) -> dict[str, Any]:
    """An ok row whose intervals, ratios and verdicts follow from the figures given; a float baseline has no verdict."""
    lo, hi = wilson(round(score * N_TEST), N_TEST)
    delta, reach = score - base["score"], 0.003 + 0.25 * abs(score - base["score"])
    timing: dict[str, Any] = {}
    if latency is not None:
        ratio = base["latency"].get(runtime, latency) / latency
        timing = {
            "latency_ms_p50": latency,
            "latency_ms_p90": latency * 1.08,
            "latency_lo": latency * 0.985,
            "latency_hi": latency * 1.02,
            "speedup": ratio,
            "speedup_lo": ratio * 0.98,
            "speedup_hi": ratio * 1.02,
            "speed_verdict": speed_verdict(ratio * 0.98, ratio * 1.02),
            "n_repeats": 4000,
        }
    point = short_id(label, task, model)
    role = role or ("baseline" if family == "baseline" else "version")
    compared: dict[str, Any] = {
        "delta": delta,
        "delta_lo": delta - reach,
        "delta_hi": delta + reach,
        "verdict": verdict(delta - reach, delta + reach),
        "compression_ratio": base["size"] / size,
    }
    if family == "baseline":
        compared, timing = {}, {name: figure for name, figure in timing.items() if not name.startswith("speed")}
    defaults = {
        "run": "example",
        "notebook": notebook,
        "execution": f"{notebook}--{task}-{model}--s{seed}",
        "row_id": short_id(point, runtime, precision, seed, notebook),
        "point_id": point,
        "task": task,
        "model": model,
        "role": role,
        "family": family,
        "method": method,
        "label": label,
        "seed": seed,
        "metric": "accuracy",
        "score": score,
        "score_lo": lo,
        "score_hi": hi,
        "val_score": val,
        "n_test": N_TEST,
        "chance": 0.1,
        "margin": 0.005,
        "size_bytes": size,
        "runtime": runtime,
        "precision": precision,
        "device": "host",
        "threads": 1,
        "batch_size": 1,
        "session": f"{notebook}-s{seed}",
        "machine": MACHINE,
        "versions": VERSIONS,
        "commit": "0123456789abcdef",
        "sha256": short_id(point, runtime, precision, seed),
        "started_at": "2026-11-21T10:02:11+00:00",
        "duration_s": 12.5,
    }
    return new_row(**defaults | compared | timing | values)


def wrong(label: str, status: str, error: str, **values: Any) -> dict[str, Any]:
    """A row without figures."""
    point = short_id(label)
    return new_row(
        **{
            "run": "example",
            "notebook": "30_quantize_sweep",
            "execution": "30_quantize_sweep--mnist1d-conv1d--s0",
            "row_id": short_id(point, status),
            "point_id": point,
            "task": "mnist1d",
            "model": "conv1d",
            "role": "version",
            "family": "quantize",
            "method": "int8-static",
            "label": label,
            "seed": 0,
            "runtime": "litert",
            "precision": "int8-static",
            "status": status,
            "error": error,
        }
        | values
    )


def baselines(seed: int = 0, shift: float = 0.0) -> list[dict[str, Any]]:
    """The float baseline in four runtimes."""
    return [
        example(
            "float baseline",
            score=0.9372 + shift,
            val=0.9380 + shift,
            size=FLOAT["size"] + 900 * i,
            latency=ms,
            family="baseline",
            method="baseline",
            runtime=runtime,
            role="reference" if runtime == "torch" else "baseline",
            notebook="10_baseline",
            seed=seed,
        )
        for i, (runtime, ms) in enumerate(FLOAT["latency"].items())
    ]


def sweep() -> list[dict[str, Any]]:
    """Pruning by two criteria at four ratios, in ONNX Runtime."""
    losses = {"l2": (0.001, 0.004, 0.021, 0.090), "random": (0.006, 0.022, 0.070, 0.190)}
    return [
        example(
            f"prune {name} {ratio:.0%}",
            score=0.9372 - loss,
            val=0.9380 - loss * 0.9,
            size=int(23_104 * (1 - ratio) ** 1.6) + 700,
            latency=0.0318 * (1 - 0.55 * ratio),
            family="prune",
            method=f"prune-{name}",
            role="control" if name == "random" else "version",
            asked={"pruning_ratio": ratio, "importance": name},
        )
        for name, line in losses.items()
        for ratio, loss in zip((0.25, 0.5, 0.75, 0.9), line, strict=True)
    ]


def quantized() -> list[dict[str, Any]]:
    """int8 files and their combinations; the codebook file has no latency."""
    made = {"notebook": "30_quantize_sweep", "precision": "int8-static"}
    return [
        example(
            "int8",
            score=0.9365,
            val=0.9372,
            size=9_010,
            latency=0.0205,
            family="quantize",
            method="int8-static",
            **made,
        ),
        example(
            "int8",
            score=0.9362,
            val=0.9370,
            size=8_420,
            latency=0.0112,
            family="quantize",
            method="int8-static",
            runtime="litert",
            **made,
        ),
        example(
            "prune l2 50% + int8 √",
            score=0.9338,
            val=0.9351,
            size=4_980,
            latency=0.0074,
            family="combine",
            method="prune-l2+int8-static",
            runtime="litert",
            **made | {"notebook": "45_combine"},
        ),
        example(
            "codebook 4 bit",
            score=0.9301,
            val=0.9322,
            size=3_650,
            latency=None,
            family="codebook",
            method="codebook",
            runtime="packed",
            precision="codebook-4bit",
            notebook="34_codebook",
        ),
        example(
            "small dense net",
            score=0.9125,
            val=0.9140,
            size=5_900,
            latency=0.0150,
            family="scratch",
            method="scratch",
            role="control",
            notebook="10_baseline",
        ),
    ]


def seeds() -> list[dict[str, Any]]:
    """One distilled student, three seeds."""
    return [
        example(
            "distilled student",
            score=0.9290 + 0.003 * seed,
            val=0.9300 + 0.002 * seed,
            size=6_900,
            latency=0.0171,
            family="distill",
            method="distill",
            notebook="40_distill",
            seed=seed,
        )
        for seed in range(3)
    ]


def all_wrong() -> list[dict[str, Any]]:
    """A failed, an unsupported and a skipped row."""
    return [
        wrong(
            "int8 <b>per tensor</b>",
            "failed",
            "RuntimeError: calibration saw <script>alert(1)</script> & NaN in “conv1”",
        ),
        wrong(
            "int16x8",
            "unsupported",
            "GRU: no 16x8 kernel",
            precision="int16x8",
            runtime="tflm",
            extra={"unsupported": "operator"},
        ),
        wrong("int8 on Ethos", "skipped", "no module named vela", runtime="vela"),
    ]


def recurrent() -> list[dict[str, Any]]:
    """A second model, so that the index has two sections."""
    base = {"score": 0.9010, "size": 31_200, "latency": {"litert": 0.21}}
    kind = {"base": base, "model": "gru", "runtime": "litert"}
    return [
        example(
            "float baseline",
            score=0.9010,
            val=0.9022,
            size=31_200,
            latency=0.21,
            family="baseline",
            method="baseline",
            notebook="10_baseline",
            **kind,
        ),
        example(
            "int8-dynamic",
            score=0.9003,
            val=0.9020,
            size=11_300,
            latency=0.2105,
            family="quantize",
            method="int8-dynamic",
            precision="int8-dynamic",
            notebook="30_quantize_sweep",
            **kind,
        ),
    ]


def rows() -> list[dict[str, Any]]:
    """All of them."""
    return [*baselines(), *sweep(), *quantized(), *seeds(), *all_wrong(), *recurrent()]

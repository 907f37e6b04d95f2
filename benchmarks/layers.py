"""Which layer goes through which technique and runtime: a small network of each, tried as `edgebook doctor --model` does.

python benchmarks/layers.py                              a table for ONNX Runtime, in Markdown
python benchmarks/layers.py --runtimes litert tflm vela  for other runtimes: about ten seconds for each layer
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from edgebook.experiment.suitability import Finding, examine
from edgebook.models import allow_network
from edgebook.tasks import load_task

ROOT = Path(__file__).parents[1]
NETWORKS = Path(__file__).with_name("layer_networks.py")
TASKS = {"image": "digits", "sequence": "mnist1d"}


def networks() -> dict[str, str]:
    """Function of layer_networks.py -> its layer, in their order."""
    import layer_networks

    return layer_networks.LAYERS


def findings(function: str, runtimes: tuple[str, ...] = ("onnx",)) -> list[Finding]:
    """What was found of one network."""
    name = f"{NETWORKS}:{function}"
    allow_network(name)
    kind = "sequence" if function.startswith("sequence") else "image"
    return list(examine(load_task(TASKS[kind]), name, runtimes=runtimes))


def table(results: dict[str, list[Finding]]) -> str:
    """The table in Markdown, with its reasons."""
    stages = list(dict.fromkeys(finding.stage for found in results.values() for finding in found))
    reasons: list[str] = []
    lines = ["| layer | " + " | ".join(stages) + " |", "|---" * (len(stages) + 1) + "|"]
    for function, found in results.items():
        by_stage = {finding.stage: finding for finding in found}
        cells = [_cell(by_stage.get(stage), reasons) for stage in stages]
        lines.append(f"| {networks()[function]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n\n" + "\n".join(f"{number}. {reason}" for number, reason in enumerate(reasons, 1)) + "\n"


def _cell(finding: Finding | None, reasons: list[str]) -> str:
    if finding is None:
        return ""
    reason = finding.detail.partition("MACs; ")[2] if finding.works else finding.detail
    if not reason:
        return "works"
    if reason not in reasons:
        reasons.append(reason)
    return f"{'works' if finding.works else 'no'} ({reasons.index(reason) + 1})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtimes", nargs="+", default=["onnx"])
    given = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for function in networks():
        results[function] = findings(function, tuple(given.runtimes))
        print(f"{function}: {sum(finding.works for finding in results[function])} work", file=sys.stderr, flush=True)
    print(table(results))


if __name__ == "__main__":
    os.environ.setdefault("EDGEBOOK_STORE", str(ROOT / ".store"))
    main()

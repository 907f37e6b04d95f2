"""Which layer goes through which technique and runtime: a small network of each, tried as `edgebook doctor --model` does.

python benchmarks/layers.py > docs/layers.md           the page of the documentation: about ten minutes on one core
python benchmarks/layers.py --runtimes onnx litert     fewer runtimes
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from edgebook.experiment.suitability import RUNTIMES, STAGES, Finding, examine
from edgebook.models import allow_network
from edgebook.tasks import load_task

ROOT = Path(__file__).parents[1]
NETWORKS = Path(__file__).with_name("layer_networks.py")
INTRODUCTION = """# Layers and what they go through

Each layer stands in a small network that is trained for two epochs on a few items, then goes through every technique and is
exported to every runtime, as `edgebook doctor` does with yours:

```console
$ edgebook doctor --model net.py:build --task data.npz
```

`works` means that it ran and, for a file, that the file agrees with the network; a number leads to the reason at the end of the
page. A dash stands where there is nothing to try. `benchmarks/layers.py` writes this page.
"""
TASKS = {"image": "digits", "sequence": "mnist1d"}


def networks() -> dict[str, str]:
    """Function of layer_networks.py -> its layer, in their order."""
    import layer_networks

    return layer_networks.LAYERS


def findings(function: str, runtimes: tuple[str, ...]) -> list[Finding]:
    """What was found of one network."""
    name = f"{NETWORKS}:{function}"
    allow_network(name)
    kind = "sequence" if function.startswith("sequence") else "image"
    return list(examine(load_task(TASKS[kind]), name, runtimes=runtimes))


def page(results: dict[str, list[Finding]]) -> str:
    """The page in Markdown: a table of techniques, a table of files, the reasons that both refer to."""
    reasons: list[str] = []
    techniques = table(results, ["network", *STAGES], reasons)
    stages = dict.fromkeys(finding.stage for findings in results.values() for finding in findings)
    files = table(results, [stage for stage in stages if stage not in ("network", *STAGES)], reasons)
    notes = "\n".join(f"{number}. {reason}" for number, reason in enumerate(reasons, 1))
    return f"{INTRODUCTION}\n## Techniques\n\n{techniques}\n## Files\n\n{files}\n## Reasons\n\n{notes}\n"


def table(results: dict[str, list[Finding]], stages: list[str], reasons: list[str]) -> str:
    """One line per layer, a column per stage; reasons that are new are added to the list."""
    lines = ["| layer | " + " | ".join(stages) + " |", "|---" * (len(stages) + 1) + "|"]
    for function, findings in results.items():
        by_stage = {finding.stage: finding for finding in findings}
        cells = [_cell(by_stage.get(stage), reasons) for stage in stages]
        lines.append(f"| {networks()[function]} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cell(finding: Finding | None, reasons: list[str]) -> str:
    if finding is None:
        return "–"
    reason = finding.detail.partition("MACs; ")[2] if finding.works else finding.detail
    if not reason:
        return "works"
    if reason not in reasons:
        reasons.append(reason)
    return f"{'works' if finding.works else 'no'} ({reasons.index(reason) + 1})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runtimes", nargs="+", default=RUNTIMES)
    given = parser.parse_args()
    torch.set_num_threads(1)
    results = {}
    for function in networks():
        results[function] = findings(function, tuple(given.runtimes))
        print(f"{function}: {sum(finding.works for finding in results[function])} work", file=sys.stderr, flush=True)
    print(page(results), end="")


if __name__ == "__main__":
    os.environ.setdefault("EDGEBOOK_STORE", str(ROOT / ".store"))
    main()

"""Which notebook runs for which kind of task: every notebook of the preset smoke on a small data set of each kind.

    python benchmarks/kinds.py > docs/kinds.md             runs them and writes the page of the documentation

Classification is the preset smoke itself. About ten minutes on two cores; what was done before is found again.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from edgebook.errors import BadInput
from edgebook.experiment.preflight import check
from edgebook.paths import NOTEBOOKS, PRESETS, reports_dir
from edgebook.rows import read_rows
from edgebook.runner.notebook_file import reads
from edgebook.runner.plan import plan
from edgebook.runner.preset import read_preset

INTRODUCTION = """# Kinds of task and notebooks

Every notebook that reads data was run for a small data set of each kind, with the preset `smoke`. `works` means that it made at
least one file that ran and was scored; a number leads to the reason below the table. `benchmarks/kinds.py` writes this page.
Your own task is of the kind that this command shows:

```console
$ edgebook data path/to/data.csv
```
"""
RUN = "kinds-and-notebooks"
SMALL = {"batch_size": 64, "lr": 0.01}
POINTS: dict[str, dict[str, Any]] = {
    "regression": {"task": "diabetes", "model": "mlp", "params": {"model_shape": {"hidden": [32, 32]}}},
    "anomaly": {"task": "vibration", "model": "autoencoder", "params": {"model_shape": {"widths": [32], "bottleneck": 8}}},
    "segmentation": {"task": "shapes", "model": "unet", "params": {"model_shape": {"widths": [8, 16]}}},
}
STUDENTS: dict[str, dict[str, Any]] = {  # of 40_distill and, as the network made by hand, of 50_search
    "regression": {"student": "mlp", "student_shape": {"hidden": [8]}},
    "anomaly": {"student": "autoencoder", "student_shape": {"widths": [16], "bottleneck": 4}},
    "segmentation": {"student": "unet", "student_shape": {"widths": [4, 8]}},
}
TEACHERS = {"regression": {"hidden": [64]}, "anomaly": {"widths": [64]}, "segmentation": {"widths": [16, 32]}}


def preset() -> dict[str, Any]:
    """The preset smoke with a point of each kind, and one for each notebook that names a student of its own."""
    content = yaml.safe_load((PRESETS / "smoke.yaml").read_text(encoding="utf-8"))
    points = []
    for kind, point in POINTS.items():
        shared = {**point.get("params", {}), "baseline_recipe": {"epochs": 3, **SMALL}}
        student, teacher = STUDENTS[kind], {"teacher_shape": TEACHERS[kind]}
        with_student = {
            "40_distill": {**student, **teacher, "hint_layers": {}},
            "48_students": {"student": student["student"], "student_shapes": [student["student_shape"]], **teacher},
            "50_search": student,
        }
        points.append({**point, "params": shared, "skip": list(with_student)})
        points += [{**point, "only": [stem], "params": {**shared, **values}} for stem, values in with_student.items()]
    return content | {"points": points, "once": []}


def without_refused(content: dict[str, Any], file: Path) -> dict[tuple[str, str], str]:
    """Write the preset without what is refused before anything runs; (notebook, task) -> the reason."""
    refused = {}
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    for execution in plan(read_preset(file), RUN):
        try:
            check([execution])
        except BadInput as error:
            refused[execution.notebook, execution.params["task"]] = str(error).removeprefix(f"{execution.name}: ")
    points = []
    for point in content["points"]:
        without = [stem for stem, task in refused if task == point["task"]]
        if "only" not in point:
            points.append({**point, "skip": [*point["skip"], *without]})
        elif not set(point["only"]) <= set(without):
            points.append(point)
    content |= {"points": points}
    file.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return refused


def cell(rows: list[dict[str, Any]], notebook: str) -> str:
    """`works`, or why not."""
    if not rows:
        return "not run"
    made = [row for row in rows if row["role"] != "baseline" or notebook == "10_baseline"]
    if any(row["status"] == "ok" for row in made):
        return "works"
    reasons = [row["error"] for row in made or rows if row["error"]]
    return reasons[0] if reasons else "nothing to do"


def page(rows: list[dict[str, Any]], refused: dict[tuple[str, str], str]) -> str:
    """The page in Markdown: a table of notebooks and kinds, with its reasons."""
    stems = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb")) if "data" in reads(path.stem)]
    tasks = {"classification": "mnist1d", **{kind: point["task"] for kind, point in POINTS.items()}}
    kinds = list(tasks)
    reasons: list[str] = []
    lines = ["| notebook | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
    for stem in stems:
        cells = []
        for kind in kinds:
            here = [row for row in rows if (row["task"], row["notebook"]) == (tasks[kind], stem)]
            text = refused.get((stem, tasks[kind])) or cell(here, stem)
            if text not in ("works", "not run"):
                reasons += [text] if text not in reasons else []
                text = f"no ({reasons.index(text) + 1})"
            cells.append(text)
        lines.append(f"| `{stem}` | " + " | ".join(cells) + " |")
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([INTRODUCTION, *lines, "", *notes]) + "\n"


def main() -> None:
    folder = reports_dir() / RUN
    file = folder.parent / f"{RUN}.yaml"
    folder.parent.mkdir(parents=True, exist_ok=True)
    refused = without_refused(preset(), file)
    for given in ("smoke", str(file)):
        command = [sys.executable, "-c", "from edgebook.cli import main; main()", "run", given, "--plain"]
        subprocess.run(command, check=False, stdout=sys.stderr)  # the page alone goes to stdout
    print(page([*read_rows(folder.parent / "smoke"), *read_rows(folder)], refused), end="")


if __name__ == "__main__":
    main()

"""The executions of the presets that ship, as a file under version control: what changes a run shows in its diff.

python tests/runner/golden_presets.py        writes the file anew, after a change that is meant
"""

import json
from pathlib import Path

from edgebook import paths
from edgebook.parameters import notebook_defaults
from edgebook.runner.plan import plan
from edgebook.runner.preset import read_preset

FILE = Path(__file__).with_name("golden_presets.json")


def executions():
    """Notebook -> its defaults, and preset -> execution -> the parameters that are not the default."""
    content = {"defaults": {path.stem: notebook_defaults(path.stem) for path in sorted(paths.NOTEBOOKS.glob("*.ipynb"))}}
    for preset in sorted(paths.PRESETS.glob("*.yaml")):
        content[preset.stem] = {
            execution.name: {
                name: value for name, value in execution.params.items() if value != content["defaults"][execution.notebook][name]
            }
            for execution in plan(read_preset(preset), preset.stem)
        }
    return content


def as_text(content):
    """JSON with one line per notebook and execution."""
    sections = []
    for section, entries in content.items():
        lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(values)}" for name, values in entries.items())
        sections.append(f" {json.dumps(section)}: {{\n{lines}\n }}")
    return "{\n" + ",\n".join(sections) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(as_text(executions()))

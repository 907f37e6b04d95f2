"""The presets that ship plan the executions, with the parameters, that the golden file has."""

import importlib.util
import json
from pathlib import Path

spec = importlib.util.spec_from_file_location("golden_presets", Path(__file__).with_name("golden_presets.py"))
golden = importlib.util.module_from_spec(spec)
spec.loader.exec_module(golden)


def test_the_presets_that_ship_plan_what_they_did():
    """Meant to change? `python tests/runner/golden_presets.py` writes the file anew; look at its diff."""
    assert golden.executions() == json.loads(golden.FILE.read_text())

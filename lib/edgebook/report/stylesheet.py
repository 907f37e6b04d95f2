"""How tables look, in notebooks and on pages."""

from __future__ import annotations

from pathlib import Path

STYLE = (Path(__file__).parent / "pages" / "templates" / "page" / "table.css").read_text(encoding="utf-8")

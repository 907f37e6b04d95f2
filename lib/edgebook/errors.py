"""The exceptions with a meaning of their own, and any exception as one line for people."""

from __future__ import annotations

import re

LONGEST = 300  # characters of one line
COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


class BadInput(ValueError):
    """Something the user gave cannot be used; the message names it, its value and what is allowed. Exit code 2."""


class Unsupported(RuntimeError):
    """A target cannot run this model; the message names the operator or the format. Becomes a row `unsupported`.

    code: the kind of reason, one of `vocabulary.UNSUPPORTED`; it goes into the row's `extra`, the message is for people.
    operator: the one that is lacking, as the file or PyTorch calls it (`SOFTPLUS`, `aten.erfc`), where that is known.
    """

    def __init__(self, message: str, *, code: str = "other", operator: str | None = None):
        super().__init__(message)
        self.code = code
        self.operator = operator


class Stopped(BaseException):
    """Raised where a run ends because of a signal; what catches everything that user code raises lets it pass."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


def one_line(error: BaseException) -> str:
    """The first line of an exception that says something, without terminal colours; with the type where it is no message for
    users. A line that only announces the next one (it ends in a colon) is joined with it.
    """
    return line_of(str(error), kind="" if isinstance(error, BadInput | Unsupported) else type(error).__name__)


def line_of(message: str, *, kind: str = "") -> str:
    """The same of an exception's message; `kind` is its type, where that is to be named."""
    lines = [line.strip() for line in COLOURS.sub("", message).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    if text.endswith(":") and len(lines) > 1:
        text = f"{text} {lines[1]}"
    return (f"{kind}: {text}" if kind and text else kind or text)[:LONGEST]

"""The one exception a user causes: shown as a single line, exit code 2."""


class BadInput(ValueError):
    """Something the user gave cannot be used; the message names it, its value and what is allowed."""


class Unsupported(RuntimeError):
    """A target cannot run this model; the message names the operator or the format. Becomes a row `unsupported`."""


def pick(table: dict, name: str, what: str):
    """`table[name]`. Raises BadInput that lists the known names when `name` is not one of them."""
    if name not in table:
        raise BadInput(f"{what} {name!r} is unknown; known: {', '.join(sorted(table))}")
    return table[name]

"""Source that cannot change a figure, and so is in no key."""

from __future__ import annotations

# modules and packages, or definitions in them ("module:name")
NEUTRAL = frozenset(
    {
        "edgebook.cli",
        "edgebook.errors",
        "edgebook.files",
        "edgebook.lock",
        "edgebook.parameter_reference",
        "edgebook.parameter_types",
        "edgebook.parameters",
        "edgebook.paths",
        "edgebook.process",
        "edgebook.registry",
        "edgebook.report",
        "edgebook.rows",  # its SCHEMA is part of an execution's key
        "edgebook.run_folder",
        "edgebook.runner",
        "edgebook.source_key",
        "edgebook.source_tree",
        "edgebook.user_source",
        "edgebook.libraries",
        "edgebook.yaml_file",
        "edgebook.training.store",
        "edgebook.vocabulary:FAMILIES",
        "edgebook.vocabulary:MARKERS",
        "edgebook.vocabulary:REASONS",
        "edgebook.vocabulary:ROLES",
        "edgebook.vocabulary:UNSUPPORTED",
    }
)


def is_neutral(module: str, name: str = "") -> bool:
    """Whether a module, or a definition in it, is in no key."""
    parts = module.split(".")
    return f"{module}:{name}" in NEUTRAL or any(".".join(parts[: n + 1]) in NEUTRAL for n in range(len(parts)))

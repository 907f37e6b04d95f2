"""Commands that carry a row's file to where it runs: a bundle, and its verification."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebook.cli.runs import run_folder
from edgebook.errors import BadInput, Unsupported


def bundle(
    run: Annotated[str, typer.Argument(help="name of a run: the folder under reports/")],
    row_id: Annotated[str, typer.Argument(help="row of that run: its row_id, or the beginning of it")],
    out: Annotated[Path | None, typer.Option(help="new folder; reports/<run>/bundles/<row_id> when left out")] = None,
) -> None:
    """Bundle a row: the file, C with golden vectors, preprocessing, labels, a model card, hashes."""
    from edgebook.experiment.ship import bundle_row

    folder = out or run_folder(run) / "bundles" / row_id
    try:
        digest = bundle_row(run_folder(run), row_id, folder)
    except Unsupported as error:
        raise BadInput(str(error)) from None
    print(folder)
    print(f"edgebook verify {folder} --sha256 {digest}")


def verify(
    folder: Annotated[Path, typer.Argument(help="a bundle")],
    sha256: Annotated[str | None, typer.Option(help="of its manifest, as `edgebook bundle` printed it")] = None,
) -> None:
    """Check every hash of a bundle, then its golden vectors in every runtime here and in C, also on an emulated core."""
    from edgebook.boards.verify import verify as verify_bundle

    checks = verify_bundle(folder, manifest_sha256=sha256)
    hashes = [check for check in checks if check.ok and check.text == "hash equal"]
    if hashes:
        print(f"ok: {len(hashes)} hashes equal")
    for check in checks:
        if check not in hashes:
            print(f"{WORDS[check.ok]}: {check.name}: {check.text}")
    if any(check.ok is False for check in checks):
        raise typer.Exit(1)


WORDS = {True: "ok", False: "DIFFERS", None: "not checked"}
COMMANDS = (bundle, verify)

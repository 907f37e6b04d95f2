"""The user's own recordings: a folder for each class."""

from __future__ import annotations

from pathlib import Path

from edgebook.tasks.audio import read_recordings
from edgebook.tasks.description import Description
from edgebook.tasks.folder import listed
from edgebook.tasks.items import Items

EXTENSIONS = (".wav", ".flac", ".ogg", ".aiff", ".aif")


def read(path: Path, description: Description) -> Items:
    """Recordings by class; x as `read_recordings` makes it."""
    listing = listed(path, EXTENSIONS, description)
    return read_recordings(listing.path, listing, description)

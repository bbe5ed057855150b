"""Files of a results folder by the paths in its records."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from harness.errors import BadInput


def run_file(folder: Path, path: str) -> Path:
    """The file that a record in the results folder ``folder`` names ``path``, as it names weights and traces.

    Raises BadInput for a path that leads out of the folder, as none does that a run of ours wrote: whoever hands on a
    results folder does not choose what else is read here.
    """
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).anchor or ".." in PurePosixPath(path).parts:
        raise BadInput(f"the record's path {path} leads out of the results folder {folder}")
    return folder / path

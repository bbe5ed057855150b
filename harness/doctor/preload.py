"""Imported once by the server that every check's process is forked from: what takes most of the time to import.

Nothing of ours, so that no check's fault is in all of their processes. Where it cannot be imported the server ends:
what is left of a half imported torch would be in every process too, and another error would be told in each.
"""

from __future__ import annotations

import importlib

try:
    for _name in ("torch", "torch._dynamo"):
        importlib.import_module(_name)
except BaseException as error:  # whatever a broken installation raises
    raise SystemExit(1) from error

"""Checkpoints in: ours and every authors' format; where one does not fit a registered model, the model that it fits."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from harness import checkpoint_file, recognition
from harness.checkpoint_file import DoesNotFit, Loaded, file_digest, read

__all__ = ["DoesNotFit", "Loaded", "file_digest", "load", "read"]


def load(model: nn.Module, path: str | Path, name: str | None = None) -> Loaded:
    """Fill ``model`` from the checkpoint at ``path``, every entry or none; ``name`` is its registered one, if known.

    Raises BadInput when the file is absent, damaged or holds foreign classes. Raises DoesNotFit when it was made for
    another model, number of frames, width or number of input channels: the message says which keys and shapes differ
    and what to pass instead.
    """
    try:
        return checkpoint_file.load(model, path)
    except DoesNotFit as error:
        asked = name or recognition.name_of(model)
        if asked is None:
            raise
        hint = recognition.advice(error.entries, asked, getattr(model, "config", None))
        raise DoesNotFit(f"{error}: {hint}", error.entries) from error

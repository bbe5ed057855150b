"""The same seed gives the same weights to the last bit as far as the operators allow; where not, the record says so.

Some have no deterministic form, nearly all of them on a GPU alone; torch warns of those that run.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from typing import Any

import torch

#: cuBLAS sums in a fixed order only with a workspace of fixed size, which it reads when it is first used.
CUBLAS_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_FIXED_WORKSPACE = ":4096:8"
_OF_DETERMINISM = re.compile(r"deterministic", re.IGNORECASE)
#: How torch begins its warning of an operator without a deterministic form.
_OPERATOR = re.compile(r"^([^.]+?) does not have a deterministic implementation")


def prefer_deterministic() -> None:
    """Ask torch for the deterministic form of every operator, and for a warning where there is none."""
    os.environ.setdefault(CUBLAS_WORKSPACE, _FIXED_WORKSPACE)
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling every new tensor would cost a tenth of a step; no kernel here reads memory that it has not written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


@contextlib.contextmanager
def doubts_noted() -> Iterator[list[str]]:
    """At the end the list has one sentence with what ran inside and is not deterministic, or nothing; it may raise.

    Other warnings go where they went before.
    """
    found: dict[str, None] = {}
    doubts: list[str] = []
    with warnings.catch_warnings(), _every_time():
        warnings.filterwarnings("default", message=f"(?is).*{_OF_DETERMINISM.pattern}")
        show = warnings.showwarning

        def note(message: Warning | str, *where: Any, **more: Any) -> None:
            if _OF_DETERMINISM.search(str(message)):
                found[_what(str(message))] = None
            else:
                show(message, *where, **more)

        warnings.showwarning = note
        try:
            yield doubts
        finally:
            if found:
                doubts.append(f"not deterministic here, so that a repetition may differ: {'; '.join(sorted(found))}")


@contextlib.contextmanager
def _every_time() -> Iterator[None]:
    """torch gives some of its warnings once in a process, which may have been for the run before."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        yield
    finally:
        torch.set_warn_always(before)


def _what(warning: str) -> str:
    """The operator that ``warning`` is about, or its first sentence."""
    named = _OPERATOR.match(warning)
    return named[1] if named else re.split(r"\.\s", warning.strip(), maxsplit=1)[0].rstrip(".")

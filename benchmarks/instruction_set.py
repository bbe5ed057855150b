"""The native kernels by older instructions than this processor's best, to see what its best ones are worth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from harness.errors import BadInput
from posemamba import native


def usable() -> tuple[str, ...]:
    """Those that this processor has, the best first; none where the kernels are missing."""
    if native.missing():
        return ()
    best = native.INSTRUCTION_SETS.index(native.instruction_set())
    return native.INSTRUCTION_SETS[best::-1]


@contextmanager
def using(name: str) -> Iterator[None]:
    """Inside, every native kernel uses instruction set ``name``. Raises BadInput for one that is not usable here."""
    if name not in (known := usable()):
        raise BadInput(f"the native kernels cannot use {name!r} here; one of: {', '.join(known) or native.missing()}")
    before = native._instruction_set
    native._instruction_set = native.INSTRUCTION_SETS.index(name)
    try:
        yield
    finally:
        native._instruction_set = before

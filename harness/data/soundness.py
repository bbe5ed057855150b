"""Whether arrays out of somebody's file are what they should be, told in terms of that file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.data.skeleton import JOINT_NAMES
from harness.errors import BadInput, suggestion

#: A whole take below this is not in pixels: in shares of the width, people stay within 1 or a little more.
_LARGEST_NORMALISED = 4.0


def array(value: Any, where: str, *shape: int | None) -> NDArray[Any]:
    """``value`` as an array of numbers of ``shape`` (None: any length). Raises BadInput naming ``where`` otherwise."""
    try:
        found = np.asarray(value)
    except ValueError as error:
        raise BadInput(f"{where}: holds lists of unlike lengths; expected numbers of shape {_shown(shape)}") from error
    if found.dtype.kind not in "fiub":
        raise BadInput(f"{where}: holds {found.dtype}; expected numbers of shape {_shown(shape)}")
    fits = found.ndim == len(shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, found.shape, strict=True)
    )
    if not fits:
        raise BadInput(f"{where}: has shape {found.shape}; expected {_shown(shape)}")
    return found


def finite(values: NDArray[Any], where: str, names: tuple[str, ...] = JOINT_NAMES) -> None:
    """Raises BadInput naming frame and joint of the first value of (T, J, ...) or (T,) that is NaN or infinite."""
    is_finite = np.isfinite(values)
    if is_finite.all():
        return
    wrong = np.argwhere(~is_finite)
    first = tuple(int(index) for index in wrong[0])
    joint = f", joint {_named(first[1], names)}" if values.ndim > 1 else ""
    more = f" ({len(wrong)} such values in all)" if len(wrong) > 1 else ""
    raise BadInput(
        f"{where}: {values[first]} at frame {first[0]} (from 0){joint}{more}; cut these frames out or fill them"
    )


def entry(mapping: Any, key: Any, where: str) -> Any:
    """``mapping[key]``. Raises BadInput naming ``where``, the key that is missing and those that are there."""
    if not isinstance(mapping, dict):
        raise BadInput(f"{where}: is {type(mapping).__name__}; expected a dictionary with {key!r}")
    if key not in mapping:
        known = [str(name) for name in mapping]
        listed = ", ".join(known[:12]) + (", …" if len(known) > 12 else "")
        raise BadInput(f"{where}: has no {key!r}. {suggestion(str(key), known)}It has: {listed or 'nothing'}")
    return mapping[key]


def _named(joint: int, names: tuple[str, ...]) -> str:
    return f"{joint} ({names[joint]})" if joint < len(names) else str(joint)


def texts(value: Any, where: str) -> NDArray[np.str_]:
    """``value``, a list or an array of text or of Python 2's bytes, as (T,) text. Raises BadInput for anything else."""
    is_of_objects = isinstance(value, np.ndarray) and value.dtype.hasobject
    found = np.asarray(list(value) if is_of_objects else value)
    if found.ndim != 1 or found.dtype.kind not in "US":
        raise BadInput(f"{where}: holds {found.dtype} of shape {found.shape}; expected text, one a frame")
    return np.char.decode(found, "latin1") if found.dtype.kind == "S" else found


def dictionary(value: Any, where: str) -> dict[Any, Any]:
    """``value`` as it is. Raises BadInput naming ``where`` if it is no dictionary."""
    if not isinstance(value, dict):
        raise BadInput(f"{where}: is {type(value).__name__}; expected a dictionary")
    return value


def same_length(lengths: Mapping[str, int], where: str) -> int:
    """The one length that all of ``lengths``, by key of the file, have. Raises BadInput naming two keys that differ."""
    first, length = next(iter(lengths.items()))
    for key, other in lengths.items():
        if other != length:
            raise BadInput(f"{where}: {first!r} has {length} frames, {key!r} {other}; expected as many")
    return length


def pixels(values: NDArray[Any], where: str) -> None:
    """Raises BadInput where all of ``values`` are so small that they are shares of the image rather than pixels."""
    largest = np.abs(values).max(initial=0)
    if values.size and largest < _LARGEST_NORMALISED:
        raise BadInput(f"{where}: reaches {largest:.3g} only; expected pixels, these look normalised to the image")


def _shown(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('frames' if length is None else str(length) for length in shape)})"

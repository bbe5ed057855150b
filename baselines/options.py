"""Checks that the configurations of several lifters need; each raises ValueError and names the option."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def require_count(name: str, value: object) -> None:
    """A whole number of at least 1."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}")


def require_probability(name: str, value: float) -> None:
    """At least 0 and below 1: a probability of leaving something out."""
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be a probability of at least 0 and below 1, not {value!r}")


def require_known(name: str, value: str, known: Collection[str]) -> None:
    """One of the known names; the message suggests the nearest."""
    if value in known:
        return
    nearest = difflib.get_close_matches(str(value), known, n=3, cutoff=0.5)
    suggestion = f"Did you mean: {', '.join(nearest)}? " if nearest else ""
    raise ValueError(f"unknown {name} {value!r}. {suggestion}Known: {', '.join(known)}")


def require_input(shape: Collection[int], *, frames: int | None, joints: int, channels: int) -> None:
    """A clip of the shape (B, T, J, C) that a lifter was built for; ``frames=None`` allows any T of at least 1."""
    wanted = f"(batch, {frames or 'frames'}, {joints}, {channels})"
    if len(shape) != 4:
        raise ValueError(f"the input has shape {tuple(shape)}; wanted {wanted}")
    _, given_frames, given_joints, given_channels = shape
    if (given_joints, given_channels) != (joints, channels):
        raise ValueError(
            f"the input has {given_joints} joints of {given_channels} channels, shape {tuple(shape)}; wanted {wanted}"
        )
    if frames is not None and given_frames != frames:
        raise ValueError(
            f"the input has {given_frames} frames, but this lifter is tied to {frames}; build it with "
            f"frames={given_frames}, or cut the sequence into clips of {frames}"
        )

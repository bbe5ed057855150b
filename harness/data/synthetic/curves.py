"""Curves over time that move like people do: slow random drift, eased changes, smoothing.

The ease is the minimum-jerk profile of Flash and Hogan (1985), 10 u^3 - 15 u^4 + 6 u^5: human reaching follows it.
Every curve is a closed form or one convolution over all frames at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
_SINUSOIDS = 8


def ease(progress: ArrayLike) -> Array:
    """0 before 0, 1 after 1, minimum jerk between; element by element."""
    u = np.clip(np.asarray(progress, dtype=np.float64), 0.0, 1.0)
    return u**3 * (10.0 + u * (6.0 * u - 15.0))


def bump(progress: ArrayLike) -> Array:
    """0 outside (0, 1), 1 in the middle, smooth at both ends."""
    u = np.clip(np.asarray(progress, dtype=np.float64), 0.0, 1.0)
    return 64.0 * (u * (1.0 - u)) ** 3


def drift(rng: np.random.Generator, time_s: Array, period_s: float) -> Array:
    """(T,) random process of about unit variance with no component faster than ``period_s``."""
    frequency = rng.uniform(0.25, 1.0, _SINUSOIDS) / period_s
    phase = rng.uniform(0.0, 2 * np.pi, _SINUSOIDS)
    waves = np.sin(2 * np.pi * np.multiply.outer(time_s, frequency) + phase)  # (T, sinusoids)
    return waves.sum(-1) * np.sqrt(2.0 / _SINUSOIDS)  # (T,)


def moves(time_s: Array, start_s: ArrayLike, duration_s: ArrayLike, values: ArrayLike) -> Array:
    """(T, ...) curve that rests at ``values[0]`` and eases to ``values[i + 1]`` from ``start_s[i]`` on.

    ``values`` has one row more than there are moves. Moves that overlap add up, so the curve is always smooth.
    """
    levels = np.asarray(values, dtype=np.float64)
    progress = (time_s[:, None] - np.asarray(start_s)) / np.asarray(duration_s)  # (T, moves)
    return levels[0] + np.tensordot(ease(progress), np.diff(levels, axis=0), axes=1)  # (T, ...)


def interleave(*rows: Array) -> Array:
    """k arrays of n to one of k n: the first of each, then the second of each, and so on."""
    return np.stack(rows, axis=-1).ravel()


def hermite(time_s: Array, key_s: Array, values: Array, slopes: Array) -> Array:
    """(T,) piecewise cubic through ``values`` with ``slopes`` at rising instants ``key_s``; flat outside.

    A piece whose slopes are those of a free fall is that fall exactly.
    """
    piece = np.clip(np.searchsorted(key_s, time_s, side="right") - 1, 0, len(key_s) - 2)  # (T,)
    width = np.diff(key_s)[piece]
    u = np.clip((time_s - key_s[piece]) / width, 0.0, 1.0)
    level = values[piece] + np.diff(values)[piece] * u * u * (3 - 2 * u)
    return level + width * u * (1 - u) * (slopes[piece] * (1 - u) - slopes[piece + 1] * u)


def beats(rng: np.random.Generator, end_s: float, pause_s: tuple[float, float], first_s: float = 0.0) -> Array:
    """Random instants from ``first_s`` plus a pause on, each a pause after the last, until ``end_s``."""
    count = int(np.ceil(max(end_s - first_s, 0.0) / pause_s[0])) + 1
    instants = first_s + np.cumsum(rng.uniform(*pause_s, count))
    return instants[instants < end_s]


def smooth(values: Array, sigma_frames: float) -> Array:
    """Gaussian smoothing along the first axis; the ends are held."""
    radius = max(1, int(np.ceil(3 * sigma_frames)))
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma_frames) ** 2)
    kernel /= kernel.sum()
    columns = values.reshape(len(values), -1)  # (T, -)
    padded = np.concatenate([columns[:1].repeat(radius, 0), columns, columns[-1:].repeat(radius, 0)])
    smoothed = np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)  # (T, -)
    return smoothed.reshape(values.shape)


def envelope(values: Array, radius: int) -> Array:
    """(T,) smooth curve nowhere below ``values``: running maximum, then a running mean as wide."""
    padded = np.pad(values, 2 * radius, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * radius + 1).max(-1)  # (T + 2 radius,)
    window: NDArray[Any] = np.hanning(2 * radius + 3)[1:-1]
    return np.convolve(highest, window / window.sum(), mode="valid")  # (T,)

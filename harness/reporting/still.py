"""Poses of an excerpt side by side, as SVG: what stands in the page where its viewer cannot run, and on paper."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from harness.data.skeleton import BONES
from harness.printable import printable
from harness.quantity import NO_BREAK
from harness.reporting.viewer import SIDES, Shown, frame_errors_mm, label
from harness.traces import Excerpt, Reason

Array = NDArray[np.float64]

#: Poses of an excerpt, spread over its time.
POSES = 5
#: Of one pose, in the SVG's own unit; from where it is seen, in degrees.
_WIDTH, _HEIGHT, _MARGIN = 150.0, 190.0, 8.0
_AZIMUTH, _ELEVATION = 35.0, 12.0
_NO_REACH_MM = 1000.0
#: How many times as far as the truth needs a picture reaches at most.
_MOST_REACH = 2.0


@dataclass(frozen=True)
class Still:
    """``svg`` shows the truth dashed and the prediction in colours; ``caption`` says of what, and how far off it is.

    ``reason`` is that of the excerpt.
    """

    reason: Reason
    caption: str
    svg: Markup


@dataclass(frozen=True)
class _Window:
    """What a picture shows: its ``middle``, at which ``scale``, and whether it ``cuts`` off some of the prediction."""

    middle: Array
    scale: float
    cuts: bool

    @classmethod
    def of(cls, truth: Array, prediction: Array) -> _Window:
        """All of the truth, and of the prediction what does not make a speck of it."""
        low, high = _corners(truth)
        middle, half = (low + high) / 2, np.where(high > low, high - low, _NO_REACH_MM) / 2
        wanted = np.maximum(half, np.abs(np.stack(_corners(prediction)) - middle).max(axis=0))
        room = np.array([_WIDTH, _HEIGHT]) / 2 - _MARGIN
        # The scale is that of the direction which needs the most room; the other has some to spare.
        least, scale = (room / half).min() / _MOST_REACH, (room / wanted).min()
        return cls(middle, float(max(least, scale)), bool(scale < least))


def stills(shown: Shown) -> list[Still]:
    """One for each excerpt of a model that has a frame with truth: what it is worst at, then the unusual poses."""
    ordered = sorted(shown.excerpts, key=lambda excerpt: excerpt.reason != "worst")
    return [_still(shown, excerpt) for excerpt in ordered if np.isfinite(frame_errors_mm(excerpt)).any()]


def _still(shown: Shown, excerpt: Excerpt) -> Still:
    errors = frame_errors_mm(excerpt)
    known = np.flatnonzero(np.isfinite(errors))
    frames = known[np.linspace(0, len(known) - 1, min(POSES, len(known))).round().astype(int)]
    times = ", ".join(f"{errors[frame]:.0f}{NO_BREAK}mm at {frame / excerpt.fps:.1f}{NO_BREAK}s" for frame in frames)
    truth, prediction = (_turned(poses[frames]) for poses in (excerpt.truth_mm, excerpt.prediction_mm))
    window = _Window.of(truth, prediction)
    cut = " The prediction reaches beyond the picture, which cuts it off." if window.cuts else ""
    caption = f"{label(excerpt)}. {shown.title}, seed {shown.seed}, from left to right: {times}.{cut}"
    return Still(excerpt.reason, caption, _drawn(truth, prediction, window, caption))


def _drawn(truth: Array, prediction: Array, window: _Window, caption: str) -> Markup:
    """(K, 17, 2) truth and prediction, every pose in a picture of its own that cuts off what leaves it."""
    parts = [
        f'<svg role="img" viewBox="0 0 {_WIDTH * len(truth):g} {_HEIGHT:g}" aria-label="{escape(printable(caption))}">'
    ]
    for place, poses in enumerate(zip(truth, prediction, strict=True)):
        box = f"{place * _WIDTH:g} 0 {_WIDTH:g} {_HEIGHT:g}"
        parts.append(f'<svg x="{place * _WIDTH:g}" width="{_WIDTH:g}" height="{_HEIGHT:g}" viewBox="{box}">')
        centre = np.array([(place + 0.5) * _WIDTH, _HEIGHT / 2])
        parts += [
            f'<g class="{kind}">{_bones(centre + window.scale * (pose - window.middle))}</g>'
            for kind, pose in zip(("true", "predicted"), poses, strict=True)
        ]
        parts.append("</svg>")
    return Markup("".join([*parts, "</svg>"]))


def _turned(poses_mm: NDArray[np.float32]) -> Array:
    """(K, 17, 3) in camera space to (K, 17, 2), to the right and down, from the viewer's first point of view."""
    azimuth, elevation = np.radians([_AZIMUTH, _ELEVATION])
    x, y, z = np.moveaxis(poses_mm.astype(float), -1, 0)
    right = x * np.cos(azimuth) - z * np.sin(azimuth)
    near = -x * np.sin(azimuth) - z * np.cos(azimuth)
    return np.stack([right, y * np.cos(elevation) + near * np.sin(elevation)], axis=-1)


def _corners(points: Array) -> tuple[Array, Array]:
    """The least and the greatest coordinates of (K, 17, 2) points."""
    flat = points.reshape(-1, 2)
    return np.nanmin(flat, axis=0), np.nanmax(flat, axis=0)


def _bones(points: Array) -> str:
    """Lines between (17, 2) points; the side of a bone is that of the joint it leads to."""
    return "".join(
        f'<path class="{SIDES[joint]}" d="M{points[parent, 0]:.1f} {points[parent, 1]:.1f}'
        f'L{points[joint, 0]:.1f} {points[joint, 1]:.1f}"/>'
        for parent, joint in BONES
        if np.isfinite(points[[parent, joint]]).all()
    )

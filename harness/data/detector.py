"""A simulated 2D detector: where a network would have seen the projected joints, and how sure it would be.

The error of a joint is a slow Gaussian bias; in bursts, instead, a large uniform one; and a flicker. Besides, whole
limbs are taken for those of the other side and single joints are lost. Confidence falls with the distance d from the
true place: c = a / (d + a) + b d + N(m, s).

Sources of the numbers (coordinates in half image widths, so that 0.002 is 1 pixel of 1000):

* bias, inlier weights, outlier range, keyframe distance, flicker, confidence curve: fitted on detections of Stacked
  Hourglass on Human3.6M by MotionBERT (Zhu et al., ICCV 2023), released as ``params/synthetic_noise.pth``.
  Keyframes are 9 frames apart (27 over a clip of 243), linear between.
* inlier weights of the preset ``cpn``: Chang, Moon, Lee, AbsPoseLifter (arXiv 1910.12029), as listed by Pose2Mesh.
* our own choice, not measured: outliers come in bursts of 6 frames on average, not by keyframe; limbs exchanged in
  0.4 % and joints lost in 0.3 % of the frames, the kinds of error of Ronchi and Perona (ICCV 2017); the term b d
  held at d = 0.1, since it would call far outliers confident.

``sh`` imitates Stacked Hourglass. ``cpn`` and ``wild`` are settings of ours, not measurements: ``cpn`` is 0.8 times
``sh`` with the rarer outliers of the second source, ``wild`` twice ``sh`` with 3 % exchanged and 3 % lost.
``gt`` is the projection itself with confidence 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import BadInput, suggestion

Array = NDArray[Any]

# fmt: off
#: Mean of the bias, x and y a joint.
BIAS_MEAN = np.array([
    [.00081, .00021], [-.00015, .002], [.00204, -.00151], [.00094, .00091], [.00187, -.0007], [.00193, -.0052],
    [.00089, -.00187], [.00247, .00233], [.00214, -.00651], [.00166, .00166], [.00084, .00159], [.00079, -.00462],
    [.0015, .0003], [.00116, .00163], [.0021, -.00317], [.00168, -.00033], [.00166, .00132],
])
#: Standard deviation of the bias, x and y a joint.
BIAS_DEVIATION = np.array([
    [.00366, .00357], [.00713, .00511], [.00608, .005], [.00895, .00529], [.00672, .00533], [.00701, .00492],
    [.00951, .00563], [.00659, .00497], [.00549, .00531], [.00534, .00488], [.00342, .00349], [.00801, .00609],
    [.00517, .00475], [.00499, .00509], [.00782, .00793], [.00601, .00572], [.00537, .00568],
])
#: Share of frames a joint is free of outliers.
INLIERS_SH = (
    .99875, .96695, .88961, .89384, .97462, .87667, .82101, .95781, .91831, .96794, .98412, .89099, .80156, .70277,
    .8809, .82463, .72875,
)
INLIERS_CPN = (1.0, 1.0, .95, .93, 1.0, .94, .93, .99, .99, .98, .99, .99, .95, .91, .99, .95, .90)
# fmt: on

KEYFRAME_DISTANCE = 9.0
FLICKER_DEVIATION = 0.002
OUTLIER_RANGE = 0.06
BURST_FRAMES = 6.0
CONFIDENCE_A, CONFIDENCE_B, CONFIDENCE_MEAN, CONFIDENCE_DEVIATION = 0.028, 1.1, -0.0046, 0.143
CONFIDENCE_B_REACH = 0.1
LOST_CONFIDENCE_DEVIATION = 0.05

#: Limbs a detector takes for one another, right and left.
LIMB_PAIRS = (((1, 2, 3), (4, 5, 6)), ((14, 15, 16), (11, 12, 13)))


@dataclass(frozen=True)
class Noise:
    """How bad a detector is: factor on bias and outliers, inlier share a joint, rates a frame."""

    scale: float
    inliers: tuple[float, ...]
    exchanged: float
    lost: float


#: Preset by name, the one to take unless told otherwise first; None is the projection itself.
PRESETS: Mapping[str, Noise | None] = {
    "sh": Noise(scale=1.0, inliers=INLIERS_SH, exchanged=0.004, lost=0.003),
    "gt": None,
    "cpn": Noise(scale=0.8, inliers=INLIERS_CPN, exchanged=0.004, lost=0.003),
    "wild": Noise(scale=2.0, inliers=INLIERS_SH, exchanged=0.03, lost=0.03),
}


def check_preset(name: str) -> None:
    """Raises BadInput for a name that is no preset."""
    if name not in PRESETS:
        raise BadInput(f"unknown detector {name!r}. {suggestion(name, PRESETS)}There are: {', '.join(PRESETS)}")


def detect(pixels: Array, visible: Array, preset: str, rng: np.random.Generator, width: float) -> tuple[Array, Array]:
    """Keypoints (T, 17, 2) and confidence (T, 17), float32, from true ``pixels`` (T, 17, 2).

    ``visible`` (T, 17) is False where a joint is outside the image: its keypoint is kept, its confidence 0.
    ``width`` is the image's, in pixels. Raises BadInput for an unknown preset.
    """
    check_preset(preset)
    noise = PRESETS[preset]
    if noise is None:
        return pixels.astype(np.float32), visible.astype(np.float32)
    half_width = width / 2.0
    found = pixels + half_width * _errors(len(pixels), noise, rng)  # (T, J, 2)
    found = _exchange_limbs(found, noise.exchanged, rng)
    confidence = _confidence(np.linalg.norm(found - pixels, axis=-1) / half_width, rng)  # (T, J)
    lost = bursts(rng, len(pixels), np.full(found.shape[1], noise.lost))  # (T, J)
    found = _held(found, lost)
    confidence = np.where(lost, np.abs(rng.normal(0.0, LOST_CONFIDENCE_DEVIATION, lost.shape)), confidence)
    return found.astype(np.float32), np.where(visible, np.clip(confidence, 0.0, 1.0), 0.0).astype(np.float32)


def bursts(rng: np.random.Generator, frames: int, rates: Array) -> Array:
    """A stationary two-state chain a column, boolean (T, len(rates)): True in runs of BURST_FRAMES on average.

    ``rates`` are the shares of True. One uniform draw a frame decides: below the chance to enter a run the state is
    True, above the chance to stay in one it is False, between them it is what it was.
    """
    enter = rates / (1.0 - rates) / BURST_FRAMES
    stay = 1.0 - 1.0 / BURST_FRAMES
    draw = rng.random((frames, len(rates)))  # (T, J)
    on = draw < enter
    decided = on | (draw >= stay)
    on[0], decided[0] = draw[0] < rates, True
    return np.take_along_axis(on, _last_frame(decided), axis=0)


def _errors(frames: int, noise: Noise, rng: np.random.Generator) -> Array:
    """Error of every joint in half widths, (T, J, 2)."""
    joints = len(noise.inliers)
    keyframes = max(2, math.ceil((frames - 1) / KEYFRAME_DISTANCE) + 1)
    bias = BIAS_MEAN + BIAS_DEVIATION * _between(rng.standard_normal((keyframes, joints, 2)), frames)
    outlier = OUTLIER_RANGE * _between(rng.random((keyframes, joints, 2)) - 0.5, frames)
    away = bursts(rng, frames, 1.0 - np.array(noise.inliers))[..., None]  # (T, J, 1)
    flicker = FLICKER_DEVIATION * rng.standard_normal((frames, joints, 2))
    return noise.scale * np.where(away, outlier, bias) + flicker


def _between(knots: Array, frames: int) -> Array:
    """``frames`` values (T, J, 2), linear between the knots (K, J, 2) that span them."""
    place = np.linspace(0.0, len(knots) - 1.0, frames)
    before = np.minimum(place.astype(int), len(knots) - 2)
    weight = (place - before)[:, None, None]
    return knots[before] * (1.0 - weight) + knots[before + 1] * weight


def _exchange_limbs(found: Array, rate: float, rng: np.random.Generator) -> Array:
    exchanged = bursts(rng, len(found), np.full(len(LIMB_PAIRS), rate))  # (T, limb pairs)
    swapped = found.copy()
    for pair, (right, left) in enumerate(LIMB_PAIRS):
        here = exchanged[:, pair, None, None]
        swapped[:, right] = np.where(here, found[:, left], found[:, right])
        swapped[:, left] = np.where(here, found[:, right], found[:, left])
    return swapped


def _confidence(distance: Array, rng: np.random.Generator) -> Array:
    near = CONFIDENCE_A / (distance + CONFIDENCE_A) + CONFIDENCE_B * np.minimum(distance, CONFIDENCE_B_REACH)
    return near + rng.normal(CONFIDENCE_MEAN, CONFIDENCE_DEVIATION, distance.shape)


def _held(found: Array, lost: Array) -> Array:
    """Lost joints stay where they were last found; those lost from the first frame on, where that frame had them."""
    return np.take_along_axis(found, _last_frame(~lost)[..., None], axis=0)


def _last_frame(wanted: Array) -> Array:
    """(T, J): the latest frame, up to each, where ``wanted`` (T, J) holds; 0 where none does."""
    frames = np.arange(len(wanted))[:, None]  # (T, 1)
    return np.maximum.accumulate(np.where(wanted, frames, 0), axis=0)

"""A sequence as the checks see it, what a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.sequence import Sequence
from harness.data.skeleton import JOINT_NAMES, ROOT

Array = NDArray[Any]
Verdict = Literal["ok", "FAIL", "?"]


@dataclass(frozen=True)
class Finding:
    """What a check found: ``ok``, ``FAIL``, or ``?`` where it cannot be told, and the figures behind it."""

    name: str
    verdict: Verdict
    detail: str


class Look:
    """A sequence as the checks see it: ``joints`` of its truth, in frames that count and are finite."""

    def __init__(self, sequence: Sequence, joints: Collection[int]) -> None:
        self.sequence = sequence
        self.joints = sorted({ROOT, *joints})
        self.counts = np.ones(len(sequence), dtype=bool) if sequence.valid is None else np.asarray(sequence.valid)
        truth = np.isfinite(sequence.truth[:, self.joints]).all(axis=(1, 2))
        detections = np.isfinite(sequence.keypoints).all(axis=(1, 2)) & np.isfinite(sequence.confidence).all(axis=1)
        self.frames = np.flatnonzero(self.counts & truth & detections)  # (N,)

    def __len__(self) -> int:
        return len(self.frames)

    @cached_property
    def truth(self) -> Array:
        """(N, 17, 3)"""
        return self.sequence.truth[self.frames].astype(np.float64)

    @cached_property
    def keypoints(self) -> Array:
        """(N, 17, 2)"""
        return self.sequence.keypoints[self.frames].astype(np.float64)

    @cached_property
    def found(self) -> Array:
        """(N, 17) joints that the detector found."""
        return self.sequence.confidence[self.frames] > 0

    @cached_property
    def pixels(self) -> Array | None:
        """(N, 17, 2) where the truth is in the image, NaN behind the camera; None for a camera that is not known."""
        if self.sequence.space == "image":
            return self.truth[..., :2]
        if not np.isfinite(self.sequence.focal).all():
            return None
        before = self.truth[..., 2:] > 0
        return np.where(before, self.sequence.camera.project(np.where(before, self.truth, 1.0)), np.nan)

    @cached_property
    def errors_px(self) -> Array | None:
        """(N, 17) distances between keypoints and truth, NaN where there is none or none was found."""
        if self.pixels is None:
            return None
        known = self.found & np.isin(np.arange(self.found.shape[1]), self.joints)
        return np.where(known, np.linalg.norm(self.keypoints - self.pixels, axis=-1), np.nan)

    def place(self, frame: int, joint: int | None = None) -> str:
        """In words, for a frame of the N."""
        named = "" if joint is None else f", {JOINT_NAMES[joint]}"
        return f"{self.sequence.name}, frame {self.frames[frame]}{named}"


class Check(Protocol):
    """``see`` every sequence, then ask for the ``finding``."""

    def see(self, look: Look) -> None: ...

    def finding(self) -> Finding: ...

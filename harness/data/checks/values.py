"""Values that cannot be: no numbers, confidence beyond 1, keypoints that are no pixels of the camera's image."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from harness.data.checks.look import Finding, Look
from harness.data.skeleton import JOINT_NAMES

#: Of the image's size: keypoints may be so far beyond its edges …
_MARGIN = 0.5
#: … and so many of a sequence's further out.
_LARGEST_SHARE_OUTSIDE = 0.01
#: Where no keypoint of a sequence is further than this from the corner, they are no pixels.
_LEAST_EXTENT_PX = 10.0


@dataclass
class Finite:
    """No NaN and no infinite value: in 2D nowhere, in 3D nowhere in the frames that count."""

    values: int = 0
    wrong: int = 0
    first: str = ""

    def see(self, look: Look) -> None:
        one = look.sequence
        truth = np.where(look.counts[:, None, None], one.truth, 0)[:, look.joints]
        for name, array in (("2D", one.keypoints), ("confidence", one.confidence), ("3D", truth)):
            wrong = ~np.isfinite(array)
            self.values += array.size
            if wrong.any():
                frame, column = np.argwhere(wrong)[0][:2]
                joint = look.joints[column] if name == "3D" else column
                self.first = self.first or f"{name} of {one.name}, frame {frame}, {JOINT_NAMES[joint]}"
                self.wrong += int(wrong.sum())

    def finding(self) -> Finding:
        name = "finite values"
        if self.wrong:
            return Finding(name, "FAIL", f"{self.wrong:,} of {self.values:,} are NaN or infinite; first {self.first}")
        return Finding(name, "ok", f"all {self.values:,}")


@dataclass
class ConfidenceRange:
    """Confidence is a share: 0 to 1."""

    least: float = np.inf
    most: float = -np.inf
    worst: str = ""

    def see(self, look: Look) -> None:
        confidence = look.sequence.confidence[look.frames]
        if not confidence.size:
            return
        for value, index in ((confidence.min(), confidence.argmin()), (confidence.max(), confidence.argmax())):
            outside = max(-float(value), float(value) - 1.0)
            if outside > max(-self.least, self.most - 1.0, 0.0):
                self.worst = look.place(*map(int, np.unravel_index(index, confidence.shape)))
        self.least, self.most = min(self.least, float(confidence.min())), max(self.most, float(confidence.max()))

    def finding(self) -> Finding:
        name = "confidence within 0 to 1"
        if self.least > self.most:
            return Finding(name, "?", "no frame to look at")
        detail = f"from {self.least:.3g} to {self.most:.3g}"
        return Finding(name, "FAIL", f"{detail}; worst {self.worst}") if self.worst else Finding(name, "ok", detail)


@dataclass
class Framing:
    """Keypoints are pixels of an image of the camera's size."""

    keypoints: int = 0
    outside: int = 0
    wrong: list[str] = field(default_factory=list)

    def see(self, look: Look) -> None:
        found = look.keypoints[look.found]  # (K, 2)
        if not len(found):
            return
        size = look.sequence.image_size
        outside = int(((found < -_MARGIN * size) | (found > (1 + _MARGIN) * size)).any(axis=-1).sum())
        self.keypoints, self.outside = self.keypoints + len(found), self.outside + outside
        named = f"{look.sequence.name} of {size[0]:.0f} x {size[1]:.0f} px"
        if np.abs(found).max() < _LEAST_EXTENT_PX:
            self.wrong.append(f"all within {np.abs(found).max():.2g} px in {named}: are they normalised already?")
        elif outside > _LARGEST_SHARE_OUTSIDE * len(found):
            reach = np.abs(found).max(axis=0)
            self.wrong.append(
                f"{outside / len(found):.0%} far outside the image, up to {reach[0]:.0f}, {reach[1]:.0f}, in {named}:"
                " is it another image's size?"
            )

    def finding(self) -> Finding:
        name = "keypoints within the image"
        if not self.keypoints:
            return Finding(name, "?", "no joint was found by the detector")
        if self.wrong:
            more = f" (and {len(self.wrong) - 1} more sequences)" if len(self.wrong) > 1 else ""
            return Finding(name, "FAIL", self.wrong[0] + more)
        return Finding(name, "ok", f"{self.outside:,} of {self.keypoints:,} more than half an image beyond its edges")

"""Whether 2D and 3D are of the same person at the same time: the detector is near the projected truth."""

from __future__ import annotations

import numpy as np

from harness.data.checks.look import Array, Finding, Look

LARGEST_GT_ERROR_PX = 1.0
LARGEST_DETECTOR_ERROR_PX = 30.0
#: Of single sequences the median may be so many times larger.
_SEQUENCE_FACTOR = 2.0


class _Distribution:
    """Quantiles of any number of positive values to a quarter of a percent, from 1e-4 on."""

    _PER_DECADE, _FIRST, _DECADES = 1000, -4, 10

    def __init__(self) -> None:
        self.counts = np.zeros(self._PER_DECADE * self._DECADES + 1, dtype=np.int64)

    def add(self, values: Array) -> None:
        with np.errstate(divide="ignore"):
            bins = np.ceil((np.log10(values) - self._FIRST) * self._PER_DECADE)
        self.counts += np.bincount(np.clip(bins, 0, len(self.counts) - 1).astype(np.intp), minlength=len(self.counts))

    def quantile(self, share: float) -> float:
        position = int(np.searchsorted(np.cumsum(self.counts), share * self.counts.sum()))
        return 0.0 if position == 0 else float(10 ** (position / self._PER_DECADE + self._FIRST))


class Agreement:
    """2D and 3D are of the same person at the same time: the detector is near the projected truth."""

    def __init__(self, largest_px: float) -> None:
        self.largest_px = largest_px
        self.pixels, self.shares = _Distribution(), _Distribution()
        self.medians_px: list[tuple[float, str]] = []
        self.without: set[str] = set()

    def see(self, look: Look) -> None:
        if look.errors_px is None:
            self.without.add(look.sequence.camera.name)
            return
        errors = look.errors_px[np.isfinite(look.errors_px)]
        if len(errors):
            self.pixels.add(errors)
            self.shares.add(errors / look.sequence.camera.width)
            self.medians_px.append((float(np.median(errors)), look.sequence.name))

    def finding(self) -> Finding:
        name = "2D agrees with 3D"
        if not self.medians_px:
            why = f"focal length not known: {', '.join(sorted(self.without))}" if self.without else "no joint was found"
            return Finding(name, "?", why)
        median = self.pixels.quantile(0.5)
        worst_px, worst = max(self.medians_px)
        many = [value for value, _ in self.medians_px if value > _SEQUENCE_FACTOR * self.largest_px]
        within = self.pixels.quantile(0.95)
        detail = (
            f"{_px(median)} in the median ({self.shares.quantile(0.5):.2%} of the width), 95 % within {_px(within)}"
            f" ({self.shares.quantile(0.95):.2%}); worst {worst}, median {_px(worst_px)}"
        )
        if median > self.largest_px:
            return Finding(name, "FAIL", f"{detail}; expected below {self.largest_px:g} px")
        if many:
            limit = _SEQUENCE_FACTOR * self.largest_px
            return Finding(
                name, "FAIL", f"{detail}; {len(many)} of {len(self.medians_px)} sequences above {limit:g} px"
            )
        return Finding(name, "ok", detail)


def _px(pixels: float) -> str:
    return f"{pixels:.1f} px" if pixels >= 1 else f"{pixels:.2f} px"

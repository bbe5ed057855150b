"""Operations for each frame that comes out, and how many times another entry's they are."""

from __future__ import annotations

from dataclasses import dataclass

from harness.comparison.group import Entry

#: Path in a record -> what is counted there, the most complete first. Records of an early version have the last alone.
CONVENTIONS = {
    "cost.per_frame.flops_exact": "operations",
    "cost.macs_fvcore_per_frame": "multiply-accumulates",
}


@dataclass(frozen=True)
class Operations:
    """Of two entries, by the most complete convention that both were counted by, named by ``counted``."""

    first: float
    second: float
    counted: str

    @property
    def ratio(self) -> float:
        """The first's by the second's."""
        return self.first / self.second

    @property
    def times(self) -> str:
        """``"0.6 times the operations"``."""
        if 0.95 < self.ratio < 1.05:
            return f"about as many {self.counted}"
        return (
            f"{self.ratio:.0f} times the {self.counted}"
            if self.ratio >= 10
            else f"{self.ratio:.2g} times the {self.counted}"
        )


def of(first: Entry, second: Entry) -> Operations | None:
    """None where they share no convention."""
    for path, counted in CONVENTIONS.items():
        own, other = first.mean(path), second.mean(path)
        if own and other:
            return Operations(own, other, counted)
    return None

"""How long to train: a number of epochs, of steps, or minutes of wall-clock time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.errors import BadInput


@dataclass(frozen=True)
class Budget:
    """Exactly one of the three is set. Raises BadInput otherwise, or when it is not positive and finite."""

    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) != 1:
            raise BadInput(f"a budget is one of --epochs, --steps or --minutes; got {', '.join(given) or 'none'}")
        for name, value in given.items():
            if not 0 < value < math.inf:
                raise BadInput(f"a budget of {value} {name} is not positive and finite")

    def spent(self, step: int, elapsed_s: float, steps_per_epoch: int) -> float:
        """The share of the budget that is used up; training ends at 1."""
        if self.seconds is not None:
            return elapsed_s / self.seconds
        total = self.steps if self.steps is not None else (self.epochs or 0) * steps_per_epoch
        return step / total

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds / 60:g} minutes"
        return f"{self.steps} steps" if self.steps is not None else f"{self.epochs} epochs"

"""How long to train: a number of epochs, of steps, minutes of wall-clock time, or minutes of processor time.

Processor time is that of all threads of the process: where other work takes its share of the machine, two trainings
of so many core minutes still did as much computing, which two of so many minutes did not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.errors import BadInput


@dataclass(frozen=True)
class Budget:
    """Exactly one is set. Raises BadInput otherwise, or when it is not positive and finite."""

    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None
    core_seconds: float | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in vars(self).items() if value is not None}
        if len(given) != 1:
            raise BadInput(
                f"a budget is one of --epochs, --steps, --minutes or --core-minutes; got {', '.join(given) or 'none'}"
            )
        for name, value in given.items():
            if not 0 < value < math.inf:
                raise BadInput(f"a budget of {value} {name} is not positive and finite")

    def as_dict(self) -> dict[str, float | None]:
        """All by name; ``core_seconds``, which came later, only where it is set: older runs keep their ids."""
        later = {} if self.core_seconds is None else {"core_seconds": self.core_seconds}
        return {"epochs": self.epochs, "steps": self.steps, "seconds": self.seconds, **later}

    def spent(self, step: int, elapsed_s: float, core_s: float, steps_per_epoch: int) -> float:
        """The share of the budget that is used up; training ends at 1."""
        if self.seconds is not None:
            return elapsed_s / self.seconds
        if self.core_seconds is not None:
            return core_s / self.core_seconds
        total = self.steps if self.steps is not None else (self.epochs or 0) * steps_per_epoch
        return step / total

    def __str__(self) -> str:
        if self.seconds is not None:
            return f"{self.seconds / 60:g} minutes"
        if self.core_seconds is not None:
            return f"{self.core_seconds / 60:g} minutes of processor time"
        return f"{self.steps} steps" if self.steps is not None else f"{self.epochs} epochs"

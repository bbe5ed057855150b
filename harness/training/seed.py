"""The seed of a training: of its weights, of the order of its clips, and of the augmentation."""

from __future__ import annotations

from harness.errors import BadInput

#: numpy's random states, one of the four that a training sets, take no larger one.
LARGEST_SEED = 2**32 - 1


def require_seed(seed: int) -> None:
    """Raises BadInput for a seed that a random state does not take."""
    if not 0 <= seed <= LARGEST_SEED:
        raise BadInput(f"--seed {seed} is out of range; it must be at least 0 and at most {LARGEST_SEED}")

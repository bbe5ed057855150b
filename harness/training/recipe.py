"""What a training recipe is: how a lifter is trained, apart from what it is and how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.training.losses import LossWeights


@dataclass(frozen=True)
class Recipe:
    """``learning_rate`` is the peak; ``source`` says where the values come from, and what of it is not done here.

    optimizer       ``adamw``, or ``adam``, whose ``weight_decay`` is part of the gradient; ``amsgrad`` for either
    schedule        ``cosine``: linear warm-up, then half a cosine to zero over the budget;
                    ``exponential``: times ``decay`` after every epoch, but times ``large_decay`` instead after every
                    ``large_decay_epochs``-th one
    epochs          the published length, used when no other budget is given (None: a budget in minutes)
    loss            see harness.training.losses; ``squared_loss``: half the square of their sum, whose gradient weighs
                    a batch by its loss
    target_space    see harness.data.normalise
    stride          frames between training clips, as a share of the frames that a clip answers for (PoseMamba: 81 of
                    243); ``stride_frames`` replaces it by a number of frames
    flip            ``random``: every second clip, by chance, is mirrored; ``both``: each epoch has every clip plain and
                    mirrored; ``none``
    drop_path       replaces the model's own rate (None: leave it)
    gradient_clip   largest norm of the gradient (None: unlimited)
    norm_momentum   of all batch norms at the beginning and the end of the budget, falling exponentially (None: theirs)
    """

    name: str
    source: str
    learning_rate: float
    batch_size: int
    weight_decay: float
    schedule: Literal["cosine", "exponential"]
    loss: LossWeights
    target_space: Literal["camera", "image"]
    optimizer: Literal["adamw", "adam"] = "adamw"
    amsgrad: bool = False
    decay: float = 1.0
    large_decay: float = 1.0
    large_decay_epochs: int | None = None
    epochs: int | None = None
    squared_loss: bool = False
    stride: float = 1 / 3
    stride_frames: int | None = None
    flip: Literal["random", "both", "none"] = "random"
    drop_path: float | None = None
    gradient_clip: float | None = None
    norm_momentum: tuple[float, float] | None = None
    warmup_steps: int = 0

    def clip_stride(self, answered_frames: int) -> int:
        """Frames between training clips that answer for ``answered_frames`` frames each."""
        return self.stride_frames or max(1, round(answered_frames * self.stride))

"""Named training recipes: how a lifter is trained, apart from what it is and how long.

``common`` is one recipe for every lifter, the default in comparisons: right for short budgets on few cores, where the
number of steps counts, hence small batches, a high rate and a cosine to the end of the budget, targets in metres with
a velocity weight that fits them. The recipes that carry a model's name repeat its paper and configuration files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from harness.errors import BadInput, suggestion
from harness.training.losses import LossWeights


@dataclass(frozen=True)
class Recipe:
    """AdamW throughout; ``learning_rate`` is its peak.

    schedule        ``cosine``: linear warm-up, then half a cosine to zero over the budget;
                    ``exponential``: times ``decay`` after every epoch
    epochs          the published length, used when no other budget is given (None: a budget in minutes)
    target_space    see harness.data.normalise
    stride          frames between training clips, as a share of T (PoseMamba: 81 of 243)
    drop_path       replaces the model's own rate (None: leave it)
    gradient_clip   largest norm of the gradient (None: unlimited)
    """

    name: str
    source: str
    learning_rate: float
    batch_size: int
    weight_decay: float
    schedule: Literal["cosine", "exponential"]
    loss: LossWeights
    target_space: Literal["camera", "image"]
    decay: float = 1.0
    epochs: int | None = None
    stride: float = 1 / 3
    flip: bool = True
    drop_path: float | None = None
    gradient_clip: float | None = None
    warmup_steps: int = 0


RECIPES: dict[str, Recipe] = {
    "common": Recipe(
        name="common",
        source="this project; one recipe for every lifter",
        learning_rate=3e-3,
        batch_size=4,
        weight_decay=0.01,
        schedule="cosine",
        loss=LossWeights(position=1.0, scale=0.5, velocity=0.5),
        target_space="camera",
        drop_path=0.0,
        gradient_clip=1.0,
        warmup_steps=100,
    ),
    "posemamba": Recipe(
        name="posemamba",
        source="arXiv 2408.03540, implementation details; configs/pose3d/PoseMamba_train_h36m_S.yaml",
        learning_rate=2e-4,
        batch_size=4,
        weight_decay=0.01,
        schedule="exponential",
        decay=0.99,
        epochs=120,
        loss=LossWeights(position=1.0, scale=0.5, velocity=20.0, temporal_difference=0.5),
        target_space="image",
        drop_path=0.2,
    ),
    "motionagformer": Recipe(
        name="motionagformer",
        source="arXiv 2310.16288, implementation details; configs/h36m/MotionAGFormer-*.yaml",
        learning_rate=5e-4,
        batch_size=16,
        weight_decay=0.01,
        schedule="exponential",
        decay=0.99,
        epochs=60,
        loss=LossWeights(position=1.0, scale=0.5, velocity=20.0),
        target_space="image",
        drop_path=0.0,
    ),
}


def recipe(name: str) -> Recipe:
    """The recipe called ``name``. Raises BadInput for an unknown one."""
    if name not in RECIPES:
        raise BadInput(f"unknown recipe {name!r}. {suggestion(name, RECIPES)}One of: {', '.join(RECIPES)}")
    return RECIPES[name]

"""The named training recipes.

``common`` is one recipe for every lifter, the default in comparisons: right for short budgets on few cores, where the
number of steps counts, hence small batches, a high rate and a cosine to the end of the budget, targets in metres with
a velocity weight that fits them. The others repeat what the authors did, by their training scripts, and bear the
family's name; batches are counted in clips. Their files at the commits named in baselines/ are the sources.
"""

from __future__ import annotations

from dataclasses import replace

from harness.errors import BadInput, suggestion
from harness.training.losses import LossWeights
from harness.training.recipe import Recipe

#: MotionBERT's training, which MotionAGFormer, PoseMamba and TCPFormer took over.
_MOTIONBERT = Recipe(
    name="motionbert",
    source="train.py, configs/pose3d/MB_train_h36m.yaml (from scratch; without the pre-training, whose fine-tuning "
    "takes 60 epochs)",
    learning_rate=2e-4,
    batch_size=32,
    weight_decay=0.01,
    schedule="exponential",
    decay=0.99,
    epochs=120,
    loss=LossWeights(position=1.0, scale=0.5, velocity=20.0),
    target_space="image",
)
#: VideoPose3D's training, on which most others are built: the distance alone, in metres, every clip with its mirror.
_VIDEOPOSE3D = Recipe(
    name="videopose3d",
    source="run.py, README; the momentum of the batch norms is set after every epoch there, after every step here",
    learning_rate=1e-3,
    batch_size=1024,
    weight_decay=0.0,
    optimizer="adam",
    amsgrad=True,
    schedule="exponential",
    decay=0.95,
    epochs=80,
    loss=LossWeights(position=1.0, scale=0.0),
    target_space="camera",
    flip="both",
    norm_momentum=(0.1, 0.001),
)
#: The same with constant batch norms, or none.
_PLAIN = replace(_VIDEOPOSE3D, norm_momentum=None)
#: PoseFormer's, and what MixSTE made of it: limb ends count more, and frames are tied to their neighbours.
_POSEFORMER = replace(
    _PLAIN,
    name="poseformer",
    source="run_poseformer.py; rate of the README's command for CPN detections, 200 epochs by common/arguments.py",
    learning_rate=4e-5,
    batch_size=512,
    weight_decay=0.1,
    optimizer="adamw",
    amsgrad=False,
    decay=0.99,
    epochs=200,
)
_MIXSTE = replace(
    _POSEFORMER,
    name="mixste",
    source="run.py, common/arguments.py, common/loss.py; 1024 frames a step, which are 4 clips at T = 243",
    batch_size=4,
    epochs=120,
    loss=LossWeights(position=1.0, scale=0.0, velocity=2.0, temporal_difference=0.5, joint_weights=True),
    squared_loss=True,
    stride=1.0,
)

_RECIPES = (
    Recipe(
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
    replace(
        _MOTIONBERT,
        name="posemamba",
        source="arXiv 2408.03540, implementation details; configs/pose3d/PoseMamba_train_h36m_S.yaml",
        batch_size=4,
        loss=LossWeights(position=1.0, scale=0.5, velocity=20.0, temporal_difference=0.5),
        drop_path=0.2,
    ),
    replace(
        _MOTIONBERT,
        name="motionagformer",
        source="arXiv 2310.16288, implementation details; configs/h36m/MotionAGFormer-*.yaml",
        learning_rate=5e-4,
        batch_size=16,
        epochs=60,
        drop_path=0.0,
    ),
    _MOTIONBERT,
    replace(
        _MOTIONBERT,
        name="tcpformer",
        source="train.py, configs/h36m; 16 clips a step by accumulation, by the author's word in issue 2",
        learning_rate=5e-4,
        batch_size=16,
        epochs=90,
    ),
    _MIXSTE,
    replace(
        _MIXSTE,
        name="ktpformer",
        source="run_ktpformer.py, README; 1024 frames a step counted at 128 a clip, which are 8 clips",
        learning_rate=8e-5,
        batch_size=8,
        epochs=200,
    ),
    replace(
        _PLAIN,
        name="stcformer",
        source="run_stc.py, common/opt.py, 20 epochs by the paper; the authors read every third frame of the video "
        "(every second at T = 243), which is not done here",
        batch_size=42,
        decay=0.96,
        epochs=20,
        stride_frames=3,
    ),
    _POSEFORMER,
    replace(
        _POSEFORMER,
        name="poseformerv2",
        source="run_poseformer.py, common/arguments.py; in issue 14 the author has 8e-5 with 512 clips at T = 27",
        learning_rate=1e-4,
        batch_size=1024,
    ),
    replace(
        _PLAIN,
        name="mhformer",
        source="main.py, common/opt.py; README: 128 clips a step at T = 351",
        batch_size=256,
        large_decay=0.5,
        large_decay_epochs=5,
        epochs=19,
        stride_frames=1,
    ),
    replace(
        _PLAIN,
        name="stridedtransformer",
        source="main.py, common/opt.py; without the refinement by the true root and camera that follows there",
        batch_size=256,
        large_decay=0.5,
        large_decay_epochs=5,
        epochs=20,
    ),
    replace(
        _PLAIN,
        name="pstmo",
        source="run.py, common/opt.py, README, second stage; without the pre-training on masked poses, and on every "
        "frame where the authors read every second one",
        learning_rate=7e-4,
        batch_size=160,
        decay=0.97,
        epochs=79,
    ),
    _VIDEOPOSE3D,
    Recipe(
        name="martinez",
        source="weigq/3d_pose_baseline_pytorch, main.py; x 0.96 in 100,000 steps, of which Human3.6M has 24,371 an "
        "epoch; metres, where the authors standardise each coordinate",
        learning_rate=1e-3,
        batch_size=64,
        weight_decay=0.0,
        optimizer="adam",
        schedule="exponential",
        decay=0.96**0.24371,
        epochs=200,
        loss=LossWeights(position=0.0, scale=0.0, squared=1.0),
        target_space="camera",
        stride_frames=1,
        flip="none",
        gradient_clip=1.0,
    ),
)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _RECIPES}


def recipe(name: str) -> Recipe:
    """The recipe called ``name``. Raises BadInput for an unknown one."""
    if name not in RECIPES:
        raise BadInput(f"unknown recipe {name!r}. {suggestion(name, RECIPES)}One of: {', '.join(RECIPES)}, published")
    return RECIPES[name]

"""What Human3.6M consists of in the sets that are published of it: names of actions, parts, numbers of frames.

Names: VideoPose3D's ``prepare_data_h36m.py``. Frames by subject: thread 5 of
hrhodin/UnsupervisedGeometryAwareRepresentationLearning; of VideoPose3D's test part: thread 11 of
QitaoZhao/ContextAware-PoseFormer; of MotionBERT's pickle: comments in its ``datareader_h36m.py``. Labels of that
pickle: as the author of PoseMamba printed them. Numbers of actions (``act_02`` …): Human3.6M's own, from memory.
"""

from __future__ import annotations

from collections.abc import Mapping

FPS = 50.0

#: In the order that VideoPose3D's files list the views of a take.
CAMERAS = ("54138969", "55011271", "58860488", "60457274")

#: In VideoPose3D's words.
ACTIONS = (
    "Directions", "Discussion", "Eating", "Greeting", "Phoning", "Photo", "Posing", "Purchases", "Sitting",
    "SittingDown", "Smoking", "Waiting", "WalkDog", "Walking", "WalkTogether",
)  # fmt: skip

#: What others call them: MotionBERT's pickle, and the original release.
ACTION_ALIASES: Mapping[str, str] = {
    "Direction": "Directions", "Discuss": "Discussion", "Greet": "Greeting", "Phone": "Phoning", "Pose": "Posing",
    "Purchase": "Purchases", "Smoke": "Smoking", "Wait": "Waiting", "Walk": "Walking", "WalkTwo": "WalkTogether",
    "TakingPhoto": "Photo", "WalkingDog": "WalkDog", "WalkingTogether": "WalkTogether",
}  # fmt: skip

#: ``act_XX`` in names of MotionBERT's videos.
ACTION_NUMBERS: Mapping[int, str] = {
    2: "Directions", 3: "Discussion", 4: "Eating", 5: "Greeting", 6: "Phoning", 7: "Posing", 8: "Purchases",
    9: "Sitting", 10: "SittingDown", 11: "Smoking", 12: "Photo", 13: "Waiting", 14: "Walking", 15: "WalkDog",
    16: "WalkTogether",
}  # fmt: skip

#: Frames over all four cameras: of VideoPose3D's archives, S11's damaged 'Directions' left out …
ARCHIVE_FRAMES: Mapping[str, int] = {"train": 1_559_752, "test": 543_344}
#: … of MotionBERT's pickle …
PICKLE_FRAMES: Mapping[str, int] = {"train": 1_559_752, "test": 566_920}
#: … and of the training subjects in both.
SUBJECT_FRAMES: Mapping[tuple[str, ...], int] = {
    ("S1",): 248_376,
    ("S5",): 396_316,
    ("S6",): 249_864,
    ("S7", "S8"): 665_196,
}
#: Takes (each seen by four cameras) of a subject in VideoPose3D's archives.
SUBJECT_TAKES: Mapping[str, int] = {"S1": 30, "S5": 30, "S6": 30, "S7": 30, "S8": 30, "S9": 30, "S11": 29}


def common_action(label: str) -> str | None:
    """The one of ``ACTIONS`` that a set's ``label`` means, or None for a label that is not known."""
    return label if label in ACTIONS else ACTION_ALIASES.get(label)

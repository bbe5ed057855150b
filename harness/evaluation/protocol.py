"""The rules an accuracy figure is made by, each under the name of the lineage that publishes by it.

    all          ours: every frame of every sequence is scored once, mean over frames
    motionbert   MotionBERT, PoseMamba, MotionAGFormer, TCPFormer on Human3.6M: clips side by side, the rest of every
                 video dropped, three videos of S9 left out, truth in the image (2.5-D), mean over frames for each
                 action, then over actions
    videopose3d  VideoPose3D, PoseFormer, P-STMO, STCFormer on Human3.6M: one window a frame, predicted pelvis kept,
                 mean over actions
    mixste       MixSTE, KTPFormer on Human3.6M: windows side by side; the last one overlaps, and what it repeats
                 counts twice; predicted pelvis kept, mean over actions
    3dhp         P-STMO, MotionAGFormer and others on MPI-INF-3DHP: valid frames, one window each, with PCK and AUC
    3dpw         3DPW: valid frames of all persons, 14 joints

What each does was read in the authors' evaluation code. Three of its accidents are not repeated: a video shorter than T
is resampled without chance (``harness.data.clips.split_videos``), a frame whose error is exactly zero counts, and
velocities are differences within a window, where MixSTE's code takes them across the windows' borders, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from harness.data.clips import Cutting, repeated, split
from harness.data.mpi_inf_3dhp_joints import PCK_JOINTS
from harness.data.sequence import Sequence, Truth
from harness.errors import BadInput, suggestion

#: Videos of S9 whose ground truth is shifted, as MotionBERT's code names them.
SHIFTED_TAKES = ("s_09_act_05_subact_02", "s_09_act_10_subact_02", "s_09_act_13_subact_01")


@dataclass(frozen=True)
class Protocol:
    """One set of rules.

    clips      how a lifter's clips are cut: as its contract says (None), one window a frame (``sliding``), or a
               cutting of its own for lifters that answer for every frame
    frame_set  name of the scored frames in signatures
    average    ``frame`` or ``action``: what the mean is taken over
    repeats    a frame that several clips answer for: ``frame``, it counts once, with its mean error; ``each``, every
               answer counts
    truth      the space it is measured in; None: camera space where the data have it
    root       the predicted pelvis is put to the origin (``aligned``) or scored as it is (``kept``)
    blocked    takes that are left out
    last_whole whether the last video is left out when it is shorter than T
    pck_joints joints of PCK and AUC; none: not computed
    by_video   velocity and acceleration: a video counts by its frames, not by its differences
    """

    name: str
    summary: str
    clips: Literal["sliding"] | Callable[[int], Cutting] | None = None
    frame_set: str = "all"
    average: Literal["frame", "action"] = "frame"
    repeats: Literal["frame", "each"] = "frame"
    truth: Truth | None = None
    root: Literal["aligned", "kept"] = "aligned"
    blocked: tuple[str, ...] = ()
    last_whole: bool = False
    pck_joints: tuple[int, ...] = ()
    by_video: bool = False

    def truth_of(self, known: Truth) -> Truth:
        """The space that data whose truth is known in ``known`` are scored in."""
        return self.truth or known

    def scored(self, test: Iterable[Sequence], frames: int) -> list[Sequence]:
        """The sequences that are scored by a lifter of ``frames`` frames. Raises BadInput where none is left."""
        kept = [sequence for sequence in test if sequence.take not in self.blocked]
        every = list(test)
        if self.last_whole and every and len(every[-1]) < frames and kept and kept[-1] is every[-1]:
            kept = kept[:-1]
        if not kept:
            raise BadInput(f"protocol {self.name} leaves no test sequence to score at T = {frames}")
        return kept


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("all", "every frame once, mean over frames"),
        Protocol(
            "motionbert",
            "Human3.6M as MotionBERT's lineage: clips side by side, tails dropped, three videos of S9 left out, 2.5-D"
            " truth, mean over actions",
            clips=split,
            frame_set="split",
            average="action",
            truth="image",
            blocked=SHIFTED_TAKES,
            last_whole=True,
        ),
        Protocol(
            "videopose3d",
            "Human3.6M as VideoPose3D: one window a frame, mean over actions",
            clips="sliding",
            average="action",
            root="kept",
            by_video=True,
        ),
        Protocol(
            "mixste",
            "Human3.6M as MixSTE: windows side by side, repeated frames count twice, mean over actions",
            clips=repeated,
            frame_set="repeated",
            average="action",
            repeats="each",
            root="kept",
            by_video=True,
        ),
        Protocol(
            "3dhp",
            "MPI-INF-3DHP: valid frames, one window each, PCK at 150 mm and AUC over 14 joints",
            clips="sliding",
            pck_joints=PCK_JOINTS,
        ),
        Protocol("3dpw", "3DPW: valid frames of all persons, 14 joints"),
    )
}


def protocol(name: str) -> Protocol:
    """The protocol called ``name``. Raises BadInput for an unknown one."""
    if name not in PROTOCOLS:
        raise BadInput(f"unknown protocol {name!r}. {suggestion(name, PROTOCOLS)}One of: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]

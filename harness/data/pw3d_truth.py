"""The 17 true joints of 3DPW, in the world: regressed from SMPL's surface as published, or those of its skeleton.

SMPL's model and the regressor of Human3.6M's joints are licensed and the user's to get. Where they lie beside the set,
or in a folder ``smpl`` there, the truth is theirs; otherwise it is what the sequence files have.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data import smpl
from harness.data.body import check_height
from harness.data.pw3d_recording import Body, Person
from harness.data.skeleton import JOINT_NAMES
from harness.errors import BadInput

Array = NDArray[Any]

#: Scored where the truth is the skeleton's: limbs, thorax and joint 9.
SKELETON_JOINTS = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16)
#: Scored where it is the regressor's, as published (Pose2Mesh's list of joints for evaluation).
REGRESSOR_JOINTS = (1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 13, 14, 15, 16)
#: SMPL's joint for those of the 17 that have another name in it.
SKELETON_NAMES: Mapping[str, str] = {"spine": "spine2", "thorax": "neck", "neck": "head"}

#: With the right model the two skeletons agree to a thousandth of a millimetre (as users of the set report).
_SAME_SKELETON_M = 0.01

_THORAX, _NECK, _HEAD = (JOINT_NAMES.index(name) for name in ("thorax", "neck", "head"))
#: The 17 but for the top of the head, which SMPL's skeleton lacks, and its joint for each.
_NOT_HEAD = [joint for joint in range(len(JOINT_NAMES)) if joint != _HEAD]
_SKELETON_ROWS = [smpl.JOINTS.index(SKELETON_NAMES.get(JOINT_NAMES[joint], JOINT_NAMES[joint])) for joint in _NOT_HEAD]


class TrueJoints(Protocol):
    """Where the 17 true joints come from, which of them are scored, and by what name."""

    name: str
    joints: tuple[int, ...]
    joints_name: str
    #: What is read beside the sequence files.
    files: tuple[Path, ...]
    #: Notes that are known before anything is read.
    hints: tuple[str, ...]

    def joints_m(self, person: Person) -> Array:
        """(N, 17, 3) in the world."""

    def notes(self) -> list[str]:
        """What a reader must know, after the joints were asked for."""


def find(folder: Path) -> TrueJoints:
    """By the regressor where it and a model of SMPL lie in ``folder`` or its ``smpl``, otherwise the skeleton's."""
    places = (folder, folder / "smpl")
    regressor = next(filter(None, map(smpl.find_regressor, places)), None)
    models = {gender: path for place in reversed(places) for gender, path in smpl.find_models(place).items()}
    if regressor and models:
        return ByRegressor(regressor, models)
    if regressor:
        return OfSkeleton("for the published truth SMPL_MALE and SMPL_FEMALE (.npz or .pkl) are missing beside the set")
    return OfSkeleton(f"for the published truth {smpl.REGRESSOR_FILES[0]} is missing beside the set" if models else "")


class OfSkeleton:
    """The joints of SMPL's skeleton with the same names, from the sequence file."""

    name = "skeleton"
    joints: tuple[int, ...] = SKELETON_JOINTS
    joints_name = "14:smpl"
    files: tuple[Path, ...] = ()

    def __init__(self, hint: str) -> None:
        self.hints: tuple[str, ...] = (hint,) if hint else ()

    def joints_m(self, person: Person) -> Array:
        joints_m = np.empty((len(person.skeleton_m), len(JOINT_NAMES), 3))
        joints_m[:, _NOT_HEAD] = person.skeleton_m[:, _SKELETON_ROWS]
        joints_m[:, _HEAD] = 2 * joints_m[:, _NECK] - joints_m[:, _THORAX]
        check_height(joints_m, f"{person.where}, 'jointPositions'")
        return joints_m

    def notes(self) -> list[str]:
        return [
            "SMPL joints, not the H36M regressor; not comparable with published 3DPW numbers",
            "SMPL has no top of the head: joint 10, not scored, is put beyond joint 9 as far as that is from joint 8",
        ]


class ByRegressor:
    """Joints regressed from SMPL's surface, as published."""

    name = "regressor"
    joints: tuple[int, ...] = REGRESSOR_JOINTS
    joints_name = "14"
    hints: tuple[str, ...] = ()

    def __init__(self, regressor: Path, models: Mapping[str, Path]) -> None:
        self._regressor, self._models = regressor, models
        self.files = (regressor, *models.values())
        self._ready: dict[str, smpl.RegressedJoints] = {}
        self._row_notes: list[str] = []

    def joints_m(self, person: Person) -> Array:
        assert person.body is not None
        body = person.body
        skeleton_m, joints_m = self._regressed(body.gender, person.where).joints_m(
            body.poses, body.betas, body.translations_m
        )
        _check_same_skeleton(skeleton_m, person, body, self._models[body.gender])
        check_height(joints_m, f"{person.where}, joints by {self._regressor.name}")
        return joints_m

    def notes(self) -> list[str]:
        used = ", ".join(self._models[gender].name for gender in sorted(self._ready))
        return [f"truth as published: SMPL ({used}) and {self._regressor.name}", *dict.fromkeys(self._row_notes)]

    def _regressed(self, gender: str, where: str) -> smpl.RegressedJoints:
        if gender not in self._models:
            raise BadInput(
                f"{where}: gender {gender!r}, and no SMPL_{gender.upper()} (.npz or .pkl) beside {self._regressor};"
                f" there are: {', '.join(self._models)}. Get it at https://smpl.is.tue.mpg.de"
            )
        if gender not in self._ready:
            model = smpl.read_model(self._models[gender])
            regressor, note = smpl.read_regressor(self._regressor, model)
            self._row_notes += [note] if note else []
            self._ready[gender] = smpl.RegressedJoints(model, regressor)
        return self._ready[gender]


def _check_same_skeleton(skeleton_m: Array, person: Person, body: Body, model: Path) -> None:
    """Raises BadInput where SMPL's joints as computed are not those in the file."""
    apart_m = np.linalg.norm(skeleton_m - person.skeleton_m, axis=-1)  # (N, 24)
    if apart_m.max(initial=0.0) > _SAME_SKELETON_M:
        frame, joint = np.unravel_index(apart_m.argmax(), apart_m.shape)
        raise BadInput(
            f"{person.where}, frame {frame} (from 0), joint {joint} ({smpl.JOINTS[joint]}): {model} puts it"
            f" {1000 * apart_m.max():.0f} mm from 'jointPositions'; is this the model of SMPL for the gender"
            f" {body.gender!r}, and are 'poses', 'betas' and 'trans' those of the person?"
        )

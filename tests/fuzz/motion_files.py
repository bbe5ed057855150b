"""BVH, ASF and AMC: the person of the readers' own tests, rewritten."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis.strategies import SearchStrategy

from harness.data import acclaim, bvh
from tests.fuzz.damage import damaged, rewritten
from tests.harness.data.figures import amc_text, asf_text, bvh_text

_BVH = bvh_text([{}, {"LeftArm Z": 30.0}])
_ASF, _AMC = asf_text(), amc_text([{}, {"lfemur": "10 0 0"}])
BVH, ASF, AMC = _BVH.encode(), _ASF.encode(), _AMC.encode()


def bvh_files() -> SearchStrategy[bytes]:
    words = ("ROOT", "JOINT", "End", "Site", "OFFSET", "CHANNELS", "MOTION", "Frames:", "Frame", "Time:", "HIERARCHY")
    return rewritten(_BVH, words) | damaged(BVH)


def asf_files() -> SearchStrategy[bytes]:
    words = ("begin", "end", "name", "root", "dof", "rx", "TX", "XYZ", ":root", ":hierarchy", ":bonedata", ":units")
    return rewritten(_ASF, words) | damaged(ASF)


def amc_files() -> SearchStrategy[bytes]:
    return rewritten(_AMC, ("root", "lfemur", "1", "2", "3", ":RADIANS")) | damaged(AMC)


def read_bvh(content: bytes, folder: Path) -> None:
    motion = bvh.read(_file(folder / "a.bvh", content))
    assert motion.values.shape == (len(motion.values), sum(len(joint.channels) for joint in motion.joints))
    assert np.isfinite(motion.values).all()
    assert motion.fps > 0
    _quietly(motion.pose)


def read_asf(content: bytes, folder: Path) -> None:
    skeleton = acclaim.read_skeleton(_file(folder / "a.asf", content))
    motion = {name: np.zeros((2, len(freedom))) for name, freedom in skeleton.freedoms().items()}
    _quietly(acclaim.bone_ends, skeleton, motion)


def read_amc(content: bytes, folder: Path) -> None:
    skeleton = acclaim.read_skeleton(_file(folder / "a.asf", ASF))
    motion = acclaim.read_motion(_file(folder / "a_01.amc", content), skeleton)
    assert {values.shape[0] for values in motion.values()} != {0}
    assert all(np.isfinite(values).all() for values in motion.values())
    _quietly(acclaim.bone_ends, skeleton, motion)


def _file(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _quietly(function: Callable[..., Any], *arguments: Any) -> None:
    """Lengths of 1e308 overflow, which whoever makes a take of them tells."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function(*arguments)

"""PoseMamba, exactly: Huang, Liu, Xian, Qiu, "PoseMamba: Monocular 3D Human Pose Estimation with Bidirectional
Global-Local Spatio-Temporal State Space Model", AAAI 2025, arXiv 2408.03540.

    model = build(PRESETS["s"])
    joints = model(keypoints)          # (B, T, 17, 2) -> (B, T, 17, 3)
"""

from __future__ import annotations

from posemamba.config import OFFICIAL_OPTIONS, PRESETS, PoseMambaConfig, official_config
from posemamba.model import PoseMamba, build

__all__ = ["OFFICIAL_OPTIONS", "PRESETS", "PoseMamba", "PoseMambaConfig", "build", "official_config"]

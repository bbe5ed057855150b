"""The authors' names for PoseMamba's parameters (nankingjing/PoseMamba, lib/model/PoseMamba.py) and ours.

Shapes and meanings are the same on both sides, only names differ. A checkpoint of theirs holds these entries under
"model_pos", each with the prefix "module."; both wrappers are the loader's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

_OUTSIDE_BLOCKS: Mapping[str, str] = MappingProxyType({
    "joint_embedding":    "Spatial_patch_to_embedding",
    "spatial_position":   "Spatial_pos_embed",
    "temporal_position":  "Temporal_pos_embed",
    "spatial_norm":       "Spatial_norm",
    "temporal_norm":      "Temporal_norm",
    "head_norm":          "head.0",
    "head":               "head.1",
})  # fmt: skip
_BLOCK_LISTS: Mapping[str, str] = MappingProxyType({
    "spatial_blocks":     "STEblocks",
    "temporal_blocks":    "TTEblocks",
})  # fmt: skip
_INSIDE_BLOCKS: Mapping[str, str] = MappingProxyType({
    "scan_norm":              "norm",
    "scan.input_projection":  "op.in_proj",
    "scan.convolution":       "op.conv2d",
    "scan.selection_weight":  "op.x_proj_weight",
    "scan.step_weight":       "op.dt_projs_weight",
    "scan.step_bias":         "op.dt_projs_bias",
    "scan.A_log":             "op.A_logs",
    "scan.skip":              "op.Ds",
    "scan.output_norm":       "op.out_norm",
    "scan.output_projection": "op.out_proj",
    "mlp_norm":               "norm2",
    "mlp.expand":             "mlp.fc1",
    "mlp.contract":           "mlp.fc2",
})  # fmt: skip
_NAME = re.compile(r"(?:(?P<blocks>\w+_blocks)\.(?P<index>\d+)\.)?(?P<owner>.+?)(?P<suffix>\.weight|\.bias|)")


def official_name(name: str) -> str:
    """The authors' name of the parameter that we call ``name``; KeyError for a name that is not a PoseMamba's."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise KeyError(name)
    blocks, index, owner, suffix = match.group("blocks", "index", "owner", "suffix")
    if blocks is None:
        return _OUTSIDE_BLOCKS[owner] + suffix
    return f"{_BLOCK_LISTS[blocks]}.{index}.{_INSIDE_BLOCKS[owner]}{suffix}"

"""The state of all random generators that a training draws from, as a checkpoint keeps it."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

CPU = torch.device("cpu")


def random_state(device: torch.device = CPU) -> dict[str, Any]:
    """The state of every generator a training on ``device`` may draw from, in types that weights-only loading takes."""
    legacy = np.random.get_state(legacy=False)  # noqa: NPY002
    assert isinstance(legacy, dict)
    version, internal, gauss_next = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state(device)] if device.type == "cuda" else [],
        "numpy": {
            "bit_generator": legacy["bit_generator"],
            "key": torch.from_numpy(legacy["state"]["key"].astype(np.int64)),
            "pos": int(legacy["state"]["pos"]),
            "has_gauss": int(legacy["has_gauss"]),
            "gauss": float(legacy["gauss"]),
        },
        "python": [version, list(internal), gauss_next],
    }


def set_random_state(state: Mapping[str, Any], device: torch.device = CPU) -> None:
    """Put every generator back where ``random_state`` found it; ``device`` need not be the one of then."""
    torch.set_rng_state(state["torch"])
    if state["cuda"] and device.type == "cuda":
        torch.cuda.set_rng_state(state["cuda"][0], device)
    legacy = dict(state["numpy"])
    legacy["state"] = {"key": legacy.pop("key").numpy().astype(np.uint32), "pos": legacy.pop("pos")}
    np.random.set_state(legacy)  # noqa: NPY002
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))

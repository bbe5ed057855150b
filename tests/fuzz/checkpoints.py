"""Checkpoints in torch's zip format and the one before it, damaged outside and inside."""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy
from torch import nn

from harness import checkpoint_file
from harness.errors import BadInput
from tests.fuzz.damage import damaged, damaged_zip, unzipped


def _network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


def saved(content: Any, in_zip: bool = True) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream, _use_new_zipfile_serialization=in_zip)
    return stream.getvalue()


def checkpoints() -> SearchStrategy[bytes]:
    return damaged_zip(unzipped(NEW)) | _odd_states().map(saved)


def old_checkpoints() -> SearchStrategy[bytes]:
    return damaged(OLD)


def _whole() -> dict[str, Any]:
    state = _network().state_dict()
    return {"epoch": 3, "model_pos": {f"module.{key}": value for key, value in state.items()}, "best": np.float64(3.5)}


NEW, OLD = (saved(_whole(), in_zip) for in_zip in (True, False))


@st.composite
def _odd_states(draw: DrawFn) -> Any:
    """Sound files of what is no state of this network."""
    state: dict[Any, Any] = dict(_network().state_dict())
    name = draw(st.sampled_from(sorted(state)))
    state[draw(st.sampled_from((name, 1, ("a", name), "x" * 1000)))] = draw(
        st.sampled_from((
            torch.zeros(3), torch.zeros(3).to_sparse(), torch.zeros(3, dtype=torch.complex64),
            torch.zeros(3, device="meta"),
            torch.zeros(1).expand(1 << 40), torch.zeros(3, dtype=torch.int8), torch.zeros(0), state[name].double(),
            3, None, "text", [torch.zeros(3)], {"a": torch.zeros(3)},
            torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.qint8),
        ))
    )  # fmt: skip
    return draw(
        st.sampled_from((state, {"model": state}, {"model": [state]}, {"a": state, "b": state}, [state], state[name]))
    )


def read_checkpoint(content: bytes, folder: Path) -> None:
    (folder / "w.pt").write_bytes(content)
    model = _network()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpoint_file.load(model, folder / "w.pt")
    except BadInput:
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items()), "half loaded"
        raise

"""Deterministic synthetic parameters and inputs for golden tests.

A golden is a pair of files, ``<model>-<preset>.json`` and ``<model>-<preset>.npz``.
The ``.npz`` holds the input, and the output (for the tiny ones also gradients) which
an official implementation produced on CPU in float32, in eval mode.  The parameter
values that belong to it are too large to store, so both sides make them by rule from
three things that the ``.json`` lists for every state entry: its name, shape and kind.

Only numpy is needed.  Random bits come from ``PCG64(crc32(name))`` through
``random_raw``, whose stream numpy guarantees, and are turned into numbers here, so
that the values do not depend on the numpy version.

    golden = load("goldens/posemamba-tiny.json")
    arrays = load_arrays("goldens/posemamba-tiny.json")
    model.load_state_dict({k: torch.from_numpy(v) for k, v in checkpoint(golden).items()})
    output = model.eval()(torch.from_numpy(input_for(golden)))
    assert abs(output - arrays["output"]).max() < golden["tolerance"]["float32"]

Kinds of state entries
----------------------
=============== ==================================================================
weight          normal / sqrt(fan_in), fan_in = product of all axes but the first
                (torch Linear and Conv layout: out, in, *kernel)
weight_stack    normal / sqrt(last axis); stacked matrices (k, out, in)
weight_in_out   normal / sqrt(last axis but one); stacked matrices (..., in, out)
bias            0.1 * normal
scale           1 + 0.1 * normal; weights of normalisation layers
layer_scale     0.3 * (1 + 0.1 * normal); per-channel residual gains
embedding       0.5 * normal; position and part embeddings
adjacency       0.5 * normal / sqrt(last axis); learned graph edges
a_log           log(1..N) along the last axis + 0.1 * normal
dt_bias         inverse softplus of a step log-uniform in [1e-3, 1e-1]
skip            1 + 0.1 * normal; the D term of a state space model
running_mean    0.1 * normal
running_var     exp(0.2 * normal), hence positive
buffer_int      int64 zeros (BatchNorm's num_batches_tracked)
constant        not filled: a fixed tensor which the model itself must build
=============== ==================================================================
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KINDS", "checkpoint", "fill", "input_for", "load", "load_arrays", "normal", "uniform"]

Array = NDArray[Any]

KINDS = frozenset(
    {
        "weight", "weight_stack", "weight_in_out", "bias", "scale", "layer_scale",
        "embedding", "adjacency", "a_log", "dt_bias", "skip", "running_mean",
        "running_var", "buffer_int", "constant",
    }
)  # fmt: skip

_DT_MIN, _DT_MAX = 1e-3, 1e-1


def _stream(name: str, count: int) -> NDArray[np.float64]:
    """``count`` numbers in (0, 1), a function of ``name`` alone."""
    raw = np.random.PCG64(zlib.crc32(name.encode("utf-8"))).random_raw(count)
    bits = np.asarray(raw, dtype=np.uint64) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def uniform(name: str, shape: Sequence[int]) -> NDArray[np.float64]:
    """Uniform numbers in (0, 1) of the given shape, seeded by ``name``."""
    return _stream(name, int(np.prod(shape, dtype=np.int64))).reshape(tuple(shape))


def normal(name: str, shape: Sequence[int]) -> NDArray[np.float64]:
    """Standard normal numbers (Box-Muller, cosine branch only), seeded by ``name``."""
    count = int(np.prod(shape, dtype=np.int64))
    u = _stream(name, 2 * count)
    values = np.sqrt(-2.0 * np.log(u[:count])) * np.cos(2.0 * np.pi * u[count:])
    return values.reshape(tuple(shape))


def fill(name: str, shape: Sequence[int], kind: str) -> Array:
    """Value of one state entry: float32, or int64 for ``buffer_int``.

    Raises ValueError for ``constant`` (there is nothing to synthesise) and for a kind
    that is not in KINDS.
    """
    shape = tuple(int(n) for n in shape)
    if kind == "buffer_int":
        return np.zeros(shape, dtype=np.int64)
    if kind == "weight":
        value = normal(name, shape) / np.sqrt(np.prod(shape[1:], dtype=np.float64))
    elif kind == "weight_stack":
        value = normal(name, shape) / np.sqrt(shape[-1])
    elif kind == "weight_in_out":
        value = normal(name, shape) / np.sqrt(shape[-2])
    elif kind in ("bias", "running_mean"):
        value = 0.1 * normal(name, shape)
    elif kind in ("scale", "skip"):
        value = 1.0 + 0.1 * normal(name, shape)
    elif kind == "layer_scale":
        value = 0.3 * (1.0 + 0.1 * normal(name, shape))
    elif kind == "embedding":
        value = 0.5 * normal(name, shape)
    elif kind == "adjacency":
        value = 0.5 * normal(name, shape) / np.sqrt(shape[-1])
    elif kind == "a_log":
        value = np.log(np.arange(1.0, shape[-1] + 1.0)) + 0.1 * normal(name, shape)
    elif kind == "dt_bias":
        step = np.exp(np.log(_DT_MIN) + uniform(name, shape) * np.log(_DT_MAX / _DT_MIN))
        value = step + np.log(-np.expm1(-step))
    elif kind == "running_var":
        value = np.exp(0.2 * normal(name, shape))
    else:
        raise ValueError(f"state entry {name!r} of kind {kind!r} is not synthesised")
    return np.asarray(value, dtype=np.float32)


def checkpoint(golden: Mapping[str, Any]) -> dict[str, Array]:
    """All synthesised state entries of a golden, by the authors' own parameter names.

    Entries of kind ``constant`` are left out; the model builds those by itself.
    """
    return {name: fill(name, shape, kind) for name, shape, kind in golden["state"] if kind != "constant"}


def input_for(golden: Mapping[str, Any]) -> NDArray[np.float32]:
    """The golden's input, of shape (batch, frames, joints, channels).

    ``input_rule`` holds ``seed`` and ``shape``.  Channels 0 and 1 (x and y) are
    0.5 * normal; channel 2, where there is one (confidence), is uniform in (0.3, 1).
    """
    rule = golden["input_rule"]
    batch, frames, joints, channels = rule["shape"]
    xy = 0.5 * normal(rule["seed"] + "/xy", (batch, frames, joints, 2))
    if channels == 2:
        return xy.astype(np.float32)
    if channels != 3:
        raise ValueError(f"no input rule for {channels} channels")
    confidence = 0.3 + 0.7 * uniform(rule["seed"] + "/confidence", (batch, frames, joints, 1))
    return np.concatenate([xy, confidence], axis=-1).astype(np.float32)


def load(path: str | Path) -> dict[str, Any]:
    """Read a golden's ``.json``."""
    return json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))


def load_arrays(path: str | Path) -> dict[str, Array]:
    """Read the arrays that lie beside a golden's ``.json``."""
    with np.load(Path(path).with_suffix(".npz")) as arrays:
        return {name: arrays[name] for name in arrays.files}

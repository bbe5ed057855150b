"""What a lifter costs, by every named convention at once: nothing here is called just FLOPs.

A convention says what is counted and in which unit, and two of them are never compared. CONVENTIONS names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from harness.data.skeleton import JOINT_COUNT
from harness.measurement import fvcore, ledger, thop
from harness.measurement.fvcore import MacCount
from harness.measurement.kind import KINDS
from harness.measurement.ledger import Ledger

#: Name of a convention for operations -> what it counts. The order is that of tables.
CONVENTIONS: Mapping[str, str] = MappingProxyType({
    "macs_thop": "multiply-accumulates of layers, by thop's rules; most papers print them",
    "macs_fvcore": "multiply-accumulates of products, convolutions, norms and scans",
    "flops_torch": "multiplications and additions of products and scans, by torch's own counter",
    "flops_exact": "every operation of every operator; an addition or an exponential is one",
    "transcendentals": "those of flops_exact that are exponentials, logarithms, erf, tanh, powers",
    "flops_9bldn": "the scans alone, by their own convention: 9 for each state element",
})  # fmt: skip

#: Clips of the training step: a batch norm in front of a single answer does not train on one.
_TRAINING_CLIPS = 2

#: The conventions that are given by kind of work.
BY_KIND = ("macs_thop", "macs_fvcore", "flops_torch", "flops_exact")


def count(
    model: nn.Module, frames: int, in_channels: int, joints: int = JOINT_COUNT, *, training: bool = True
) -> dict[str, Any]:
    """What ``model`` costs for one clip (1, frames, joints, in_channels), in integers.

    ``params_total``      all parameters, also those that sit directly on a module
    ``params_thop``       those of layers that thop has a rule for
    each of CONVENTIONS   of one clip
    ``bytes``             read and written by all operators, if nothing stayed in a cache
    ``per_frame``         each of CONVENTIONS for each frame that comes out (a centre-frame model needs one forward a
                          frame)
    ``by_kind``           for each of BY_KIND: kind of work -> its part, every kind of KINDS
    ``by_operator``       ``macs_fvcore`` and ``flops_exact``: name -> its part
    ``uncounted``         ``macs_fvcore``, ``flops_torch``, ``flops_exact``: "name (why)" -> calls
    ``unseen_by_thop``    class of module -> parameters of it that are not in ``params_thop``
    ``training_step``     ``flops_torch``, ``flops_exact``, ``bytes`` and both ``by_kind`` of forward and backward, and
                          ``what`` that is; None without ``training``, and where the model cannot be trained:
                          ``no_training_step`` says why then
                          (torch's counter takes the kernel's gradient of a grouped convolution for a dense one's)
    ``counted_on``        what each count was made on: no numbers, where the model can do without
    ``output_frames``     frames that come out
    ``frames``, ``in_channels`` the clip's shape

    ``model`` is not touched, and where it runs without numbers nothing is computed, whatever T. Raises what its
    forward raises.
    """
    found, output_shape = _count(model, (frames, joints, in_channels), training)
    output_frames = output_shape[1]
    return {
        **found,
        "per_frame": {name: found[name] / output_frames for name in CONVENTIONS},
        "output_frames": output_frames,
        "frames": frames,
        "in_channels": in_channels,
    }


def count_on(model: nn.Module, shape: tuple[int, ...], *, training: bool = True) -> dict[str, Any]:
    """The same for one example of any ``shape``, batch left out, without what is said of frames: a cloud (P, 3)."""
    return _count(model, shape, training)[0]


def _count(model: nn.Module, shape: tuple[int, ...], training: bool) -> tuple[dict[str, Any], tuple[int, ...]]:
    """All but what is said of frames, and the shape of what came out."""
    one = (1, *shape)
    layers, macs, forward = thop.count_on(model, one), fvcore.count_on(model, one), ledger.of_shape(model, one)
    found = {
        "params_total": sum(parameter.numel() for parameter in model.parameters()),
        "params_thop": layers.params,
        **_costs(layers.macs, macs, forward),
        "bytes": forward.total.bytes,
        "by_kind": {
            "macs_thop": dict(layers.by_kind),
            "macs_fvcore": dict(macs.by_kind),
            **_by_kind(forward),
        },
        "by_operator": {
            "macs_fvcore": dict(macs.by_operator),
            "flops_exact": {name: entry.flops for name, entry in forward.by_operator().items() if entry.flops},
        },
        "uncounted": {
            "macs_fvcore": dict(macs.uncounted),
            "flops_torch": dict(sorted(forward.uncounted_by_torch.items())),
            "flops_exact": dict(sorted(forward.uncounted.items())),
        },
        "unseen_by_thop": dict(layers.unseen),
        **(_training(model, shape) if training else {"training_step": None}),
        "counted_on": {
            "macs_thop": layers.counted_on, "macs_fvcore": macs.counted_on, "flops_exact": forward.counted_on,
        },
    }  # fmt: skip
    return found, forward.output_shape


def without_formula(counts: Mapping[str, Any]) -> list[str]:
    """The operators in a count that may do work nobody has a formula for: a reason for a warning beside the figure."""
    uncounted = counts["uncounted"]
    return sorted(
        {*fvcore.without_formula(uncounted["macs_fvcore"]), *fvcore.without_formula(uncounted["flops_exact"])}
    )


def _costs(macs_thop: int, macs: MacCount, forward: Ledger) -> dict[str, int]:
    total = forward.total
    return {
        "macs_thop": macs_thop,
        "macs_fvcore": macs.macs,
        "flops_torch": total.torch_flops,
        "flops_exact": total.flops,
        "transcendentals": total.transcendentals,
        "flops_9bldn": macs.flops_9bldn,
    }


def _by_kind(entries: Ledger, clips: int = 1) -> dict[str, dict[str, int]]:
    found = entries.by_kind()
    return {
        "flops_torch": {kind: found[kind].torch_flops // clips for kind in KINDS},
        "flops_exact": {kind: found[kind].flops // clips for kind in KINDS},
    }


def _training(model: nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
    """A model that cannot be trained costs what its forward costs."""
    try:
        return {"training_step": _training_step(model, shape)}
    except Exception as error:  # whatever a third party's model raises
        return {"training_step": None, "no_training_step": f"{type(error).__name__}: {error}"}


def _training_step(model: nn.Module, shape: tuple[int, ...]) -> dict[str, Any]:
    step = ledger.of_shape(model, (_TRAINING_CLIPS, *shape), training=True)
    by_kind = _by_kind(step, _TRAINING_CLIPS)
    return {
        **{convention: sum(parts.values()) for convention, parts in by_kind.items()},
        "bytes": step.total.bytes // _TRAINING_CLIPS,
        "by_kind": by_kind,
        "what": f"one of the {_TRAINING_CLIPS} clips of a step: {ledger.TRAINING_STEP}",
    }

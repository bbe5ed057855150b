"""The convention of the published tables, ``macs_thop`` and ``params_thop``, without the package that it is named for.

Almost every complexity column of this field was made by thop (pytorch-OpCounter). It asks each layer what it costs by
the layer's class, when the layer is called, and sees nothing else: no product of two tensors, no einsum, no scan, no
function, and no parameter outside such a layer. The figures here equal those of thop 0.1.1 in everything:

* a rule is for a class exactly: a subclass, and a layer with a parametrization, has none;
* a layer's operations add up over its calls; its parameters count once, and only if it was called;
* what is inside a layer with a rule is not looked at; of the outermost module only the operations count, not the
  parameters;
* a layer that sits in m places of the tree costs m² times its calls and m times its parameters;
* the unit is a multiply-accumulate in the products and an operation in the rest: 2 a number in a norm, 4 with affine
  parameters, 3n - 1 in a softmax over n.

Sizes are of the layer's first argument and of what it returns.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from harness.data.skeleton import JOINT_COUNT
from harness.measurement.kind import KINDS
from harness.measurement.twin import count_on_twin

Rule = Callable[[Any, Any, Any], int]
#: Class of a layer, exactly -> the kind of its work and its rule.
Rules = Mapping[type[nn.Module], tuple[str, Rule]]


@dataclass(frozen=True)
class LayerCount:
    """What one clip costs by layers.

    macs, params  the two figures
    by_kind       kind of work -> its part of ``macs``, every kind of KINDS
    unseen        class of layer without a rule -> number of its parameters that no rule saw
    counted_on    device of the forward: meta, or cpu where the lifter does not run there
    """

    macs: int
    params: int
    by_kind: Mapping[str, int]
    unseen: Mapping[str, int]
    counted_on: str


def count(
    model: nn.Module, frames: int, in_channels: int, joints: int = JOINT_COUNT, *, rules: Rules | None = None
) -> LayerCount:
    """What ``model`` costs for one clip (1, frames, joints, in_channels) by ``rules`` (None: RULES).

    ``model`` is not touched.
    """
    return count_on(model, (1, frames, joints, in_channels), rules=rules)


def count_on(model: nn.Module, shape: tuple[int, ...], *, rules: Rules | None = None) -> LayerCount:
    """The same for an input of any ``shape``, the batch first."""

    def counting(twin: nn.Module, clip: Tensor) -> _Total:
        return _count(twin, clip, RULES if rules is None else rules)

    total, device = count_on_twin(model, shape, counting)
    macs = {kind: total.macs[kind] for kind in KINDS}
    return LayerCount(sum(macs.values()), total.params, macs, dict(sorted(total.unseen.items())), device)


def no_operations(layer: nn.Module, given: Tensor, returned: Tensor) -> int:
    """Activations, maxima, padding, dropout."""
    return 0


def linear(layer: nn.Linear, given: Tensor, returned: Tensor) -> int:
    """The bias is not counted."""
    return layer.in_features * returned.numel()


def convolution(layer: nn.Conv2d, given: Tensor, returned: Tensor) -> int:
    """One kernel for every number that comes out, of transposed convolutions too. The second axis is the channels'."""
    return returned.numel() * (given.shape[1] // layer.groups) * math.prod(layer.weight.shape[2:])


def norm(layer: nn.Module, given: Tensor, returned: Tensor) -> int:
    """Shift and scale by the statistics, and once more where there are affine parameters."""
    affine = getattr(layer, "affine", False) or getattr(layer, "elementwise_affine", False)
    return (4 if affine else 2) * given.numel()


def softmax(layer: nn.Softmax, given: Tensor, returned: Tensor) -> int:
    """n exponentials, n - 1 sums and n divisions; ``dim=None`` is torch's old default axis, on which thop fails."""
    axis = layer.dim if layer.dim is not None else int(given.ndim not in (0, 1, 3))
    size = given.shape[axis]
    return given.numel() // size * (3 * size - 1)


def each_given(layer: nn.Module, given: Tensor, returned: Tensor) -> int:
    """One for every number that goes in."""
    return given.numel()


def each_returned(layer: nn.Module, given: Tensor, returned: Tensor) -> int:
    """One for every number that comes out."""
    return returned.numel()


def adaptive_mean(layer: nn.Module, given: Tensor, returned: Tensor) -> int:
    """As many sums as a window has numbers (a fraction, where windows differ) and a division; the total is cut off."""
    window = math.prod(before / after for before, after in zip(given.shape[2:], returned.shape[2:], strict=True))
    return int((window + 1) * returned.numel())


def upsample(layer: nn.Upsample, given: Tensor, returned: Tensor) -> int:
    """Operations for each number that comes out; a mode that is not here is free."""
    return {"nearest": 1, "linear": 5, "bilinear": 11, "bicubic": 224 + 35}.get(layer.mode, 0) * returned.numel()


def rnn_step(inputs: int, hidden: int, bias: bool) -> int:
    """One sample and time step: a dense layer of both, the sum, and two biases."""
    return hidden * (inputs + hidden) + hidden + 2 * hidden * bias


def gru_step(inputs: int, hidden: int, bias: bool) -> int:
    """Three gates, the reset's product, and the mixture of old and new."""
    return 3 * rnn_step(inputs, hidden, bias) + hidden + 3 * hidden


def lstm_step(inputs: int, hidden: int, bias: bool) -> int:
    """Four gates, the cell's two products and sum, and the output's product."""
    return 4 * rnn_step(inputs, hidden, bias) + 3 * hidden + hidden


def _cell(step: Callable[[int, int, bool], int]) -> Rule:
    def rule(layer: nn.RNNCell, given: Tensor, returned: Tensor) -> int:
        return step(layer.input_size, layer.hidden_size, layer.bias) * given.shape[0]

    return rule


def _recurrent(step: Callable[[int, int, bool], int]) -> Rule:
    def rule(layer: nn.RNN, given: Tensor | PackedSequence, returned: Any) -> int:
        directions = 2 if layer.bidirectional else 1
        deeper = step(directions * layer.hidden_size, layer.hidden_size, layer.bias)
        first = step(layer.input_size, layer.hidden_size, layer.bias)
        return directions * (first + (layer.num_layers - 1) * deeper) * _samples_times_steps(layer, given)

    return rule


def _samples_times_steps(layer: nn.RNN, given: Tensor | PackedSequence) -> int:
    """A packed batch counts as if every sequence had the length of the longest."""
    if isinstance(given, PackedSequence):
        return int(given.batch_sizes.max()) * len(given.batch_sizes)
    return given.shape[0] * given.shape[1]


_RULES_BY_KIND: Mapping[str, Mapping[Rule, tuple[type[nn.Module], ...]]] = {
    "projection": {
        linear: (nn.Linear,),
        _cell(rnn_step): (nn.RNNCell,),
        _cell(gru_step): (nn.GRUCell,),
        _cell(lstm_step): (nn.LSTMCell,),
        _recurrent(rnn_step): (nn.RNN,),
        _recurrent(gru_step): (nn.GRU,),
        _recurrent(lstm_step): (nn.LSTM,),
    },
    "attention": {softmax: (nn.Softmax,)},
    "convolution": {
        convolution: (
            nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
        ),
    },
    "normalisation": {
        norm: (
            nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm, nn.LayerNorm,
            nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d,
        ),
    },
    "elementwise": {
        no_operations: (
            nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.Dropout, nn.ZeroPad2d, nn.PixelShuffle,
            nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d,
            nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
        ),
        each_given: (nn.PReLU,),
        each_returned: (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
        adaptive_mean: (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
        upsample: (nn.Upsample, nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d),
    },
}  # fmt: skip

#: Those of thop 0.1.1. Containers have none.
RULES: Rules = {
    layer: (kind, rule) for kind, rules in _RULES_BY_KIND.items() for rule, layers in rules.items() for layer in layers
}


class _Total:
    def __init__(self) -> None:
        self.macs: Counter[str] = Counter()
        self.params = 0
        self.unseen: Counter[str] = Counter()


def _count(twin: nn.Module, clip: Tensor, rules: Rules) -> _Total:
    """Hooks on every layer with a rule, one forward, and a walk through the tree."""
    places = _places(twin)
    calls: dict[nn.Module, int] = {}  # layer -> operations of all its calls

    def note(layer: nn.Module, arguments: tuple[Any, ...], named: Mapping[str, Any], returned: Any) -> None:
        given = arguments[0] if arguments else next(iter(named.values()))
        calls[layer] = calls.get(layer, 0) + rules[type(layer)][1](layer, given, returned)

    for layer in places:
        if type(layer) in rules:
            layer.register_forward_hook(note, with_kwargs=True)
    twin(clip)
    total = _Total()
    if type(twin) in rules:
        total.macs[rules[type(twin)][0]] += calls[twin]
    _add_children(twin, rules, places, calls, total)
    _add_unseen(twin, calls, total)
    return total


def _places(module: nn.Module) -> Counter[nn.Module]:
    """Module -> the number of ways that lead to it from the outermost one."""
    places = Counter([module])
    for child in module.children():
        places += _places(child)
    return places


def _add_children(
    module: nn.Module, rules: Rules, places: Counter[nn.Module], calls: Mapping[nn.Module, int], total: _Total
) -> None:
    for child in module.children():
        if type(child) not in rules:
            _add_children(child, rules, places, calls, total)
        elif child in calls:
            total.macs[rules[type(child)][0]] += calls[child] * places[child]
            total.params += sum(parameter.numel() for parameter in child.parameters())


def _add_unseen(twin: nn.Module, calls: Mapping[nn.Module, int], total: _Total) -> None:
    seen = {id(parameter) for layer in calls if layer is not twin for parameter in layer.parameters()}
    for module in twin.modules():
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in seen:
                total.unseen[type(module).__name__] += parameter.numel()
                seen.add(id(parameter))

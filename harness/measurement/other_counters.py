"""The rules of other counters that printed tables were made with, for the layers that published lifters are made of.

* ``THOP_0_0_31``, the release of 2020: no rule for LayerNorm and Softmax, 2 and not 4 a number in a BatchNorm, and the
  biases of convolutions counted. STCFormer's and P-STMO's tables are of it.
* ``PTFLOPS_0_6_9``, of 2022: no rule for LayerNorm and Softmax, one for each number that an activation gives, the bias
  of a linear layer once a call, that of a convolution at every position. PoseFormerV2's figures are of it.

They are for ``harness.measurement.thop.count``.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from harness.measurement.thop import RULES, Rule, Rules, convolution, each_given, each_returned

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def convolution_with_bias(layer: nn.Conv2d, given: Tensor, returned: Tensor) -> int:
    """The products, and one for every number that comes out if there is a bias."""
    return convolution(layer, given, returned) + returned.numel() * (layer.bias is not None)


def linear_with_one_bias(layer: nn.Linear, given: Tensor, returned: Tensor) -> int:
    """The products, and the bias as if one token came out."""
    return given.numel() * layer.out_features + layer.out_features * (layer.bias is not None)


def twice_given(layer: nn.Module, given: Tensor, returned: Tensor) -> int:
    """Two for every number that goes in."""
    return 2 * given.numel()


def _rules(by_rule: Mapping[Rule, tuple[str, tuple[type[nn.Module], ...]]]) -> Rules:
    return {layer: (kind, rule) for rule, (kind, layers) in by_rule.items() for layer in layers}


THOP_0_0_31: Rules = {
    nn.Linear: RULES[nn.Linear],
    nn.Dropout: RULES[nn.Dropout],
    nn.ReLU: RULES[nn.ReLU],
    nn.MaxPool1d: RULES[nn.MaxPool1d],
    **_rules({
        convolution_with_bias: ("convolution", _CONVOLUTIONS),
        twice_given: ("normalisation", _BATCH_NORMS),
        each_given: ("elementwise", (nn.LeakyReLU,)),
    }),
}  # fmt: skip

PTFLOPS_0_6_9: Rules = _rules({
    linear_with_one_bias: ("projection", (nn.Linear,)),
    convolution_with_bias: ("convolution", _CONVOLUTIONS),
    twice_given: ("normalisation", _BATCH_NORMS),
    each_given: ("elementwise", (nn.MaxPool1d,)),
    each_returned: ("elementwise", (nn.ReLU, nn.LeakyReLU, nn.GELU)),
})  # fmt: skip

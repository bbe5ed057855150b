"""The kinds of work that a lifter's operators do: the closed vocabulary of every count, time and figure by kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: What belongs to each kind. The order is that of tables and figures.
KINDS: Mapping[str, str] = MappingProxyType({
    "projection": "products with one factor that does not depend on the clip: linear layers, fixed graphs",
    "attention": "products of two factors that both depend on the clip, with the softmax between them",
    "scan": "the selective scan",
    "convolution": "convolutions",
    "normalisation": "layer, batch and group norms",
    "elementwise": "everything else that computes: activations, sums, gates, reductions",
})  # fmt: skip

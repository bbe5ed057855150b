"""Models of point clouds, by registered name or ``package.module:attribute``: (B, P, 3) -> logits (B, classes)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from harness import models
from harness import options as given_options
from harness.errors import BadInput, is_out_of_memory

_CALLED = "A model is called as (points=P, classes=K), and what that returns as (B, P, 3) -> (B, K)"


def build(name: str, points: int, classes: int, options: Mapping[str, Any]) -> nn.Module:
    """The model with fresh weights, in eval mode, tried on two clouds.

    A third party's attribute is called as ``(points=P, classes=K, **options)``. Raises BadInput for an unknown name or
    option, a lifter, what cannot be built or run, and an answer of another shape than (B, classes).
    """
    if ":" in name:
        model = _third_party(name, points, classes, options)
    else:
        models.classifier(name)
        model = models.build(name, points=points, classes=classes, **options)
    model.eval()
    _require_logits(model, name, points, classes)
    return model


def _third_party(name: str, points: int, classes: int, options: Mapping[str, Any]) -> nn.Module:
    factory = models.factory_of(name)
    try:
        model = factory(points=points, classes=classes, **given_options.guess(options))
    except Exception as error:  # whatever a third party's code raises
        if is_out_of_memory(error):
            raise
        raise BadInput(f"{name}(points={points}, classes={classes}) failed: {reason(error)}. {_CALLED}") from error
    if not isinstance(model, nn.Module):
        raise BadInput(f"{name} returned {type(model).__name__}; expected a torch.nn.Module. {_CALLED}")
    return model


def reason(error: Exception) -> str:
    """Why a model failed, on one line."""
    first = str(error).strip().partition("\n")[0]
    return "ran out of memory" if is_out_of_memory(error) else first or type(error).__name__


def _require_logits(model: nn.Module, name: str, points: int, classes: int) -> None:
    # Not zeros: a cloud whose points are all the same has no neighbourhoods.
    clouds = torch.rand(2, points, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    try:
        with torch.no_grad():
            logits = model(clouds)
    except Exception as error:  # whatever a third party's code raises
        if is_out_of_memory(error):
            raise
        raise BadInput(f"{name} cannot be run on clouds of {points} points: {reason(error)}. {_CALLED}") from error
    shape = tuple(getattr(logits, "shape", ()))
    if shape != (2, classes):
        raise BadInput(f"{name} returned {shape}; the contract is (B, P, 3) -> (B, classes) = (2, {classes})")

"""One published lifter's golden: the authors' own code run once, and our network with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.goldens import synth


class Lifter(Protocol):
    """A network that knows the authors' names of its parameters."""

    def official_state(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]: ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> object: ...

    def eval(self) -> object: ...


FOLDER = Path(__file__).resolve().parents[1] / "goldens"


class Golden:
    """``name`` is that of the pair of files, such as "motionagformer-tiny"."""

    def __init__(self, name: str) -> None:
        self.facts: dict[str, Any] = synth.load(FOLDER / name)
        self.arrays = synth.load_arrays(FOLDER / name)

    @property
    def config(self) -> Mapping[str, Any]:
        """The authors' own options."""
        return self.facts["config"]

    @property
    def output(self) -> NDArray[np.float32]:
        return self.arrays["output"]

    @property
    def tolerance(self) -> float:
        """Largest difference of the output that rounding may cause."""
        return self.facts["tolerance"]["float32"]

    def state(self) -> dict[str, Tensor]:
        """The weights by the authors' parameter names."""
        return {name: torch.from_numpy(value) for name, value in synth.checkpoint(self.facts).items()}

    def keypoints(self) -> Tensor:
        """The input, (B, T, J, C)."""
        return torch.from_numpy(self.arrays["input"])

    def load_into(self, model: Lifter) -> None:
        """Give the model the golden's weights, ready to predict; fails on any name or shape that doesn't fit."""
        model.load_state_dict(model.official_state(self.state()))
        model.eval()

    def input_gradient(self, model: nn.Module) -> NDArray[np.float32]:
        """Gradient of the mean squared output with respect to the input, as the goldens' ``grad_input``."""
        keypoints = self.keypoints().requires_grad_()
        model(keypoints).square().mean().backward()
        assert keypoints.grad is not None
        return keypoints.grad.numpy()

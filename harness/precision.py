"""The precision of a forward pass: float32, or 16 bits where torch's autocast takes them; weights are in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

import torch
from torch import Tensor, nn

FLOAT32 = "fp32"
REDUCED: Mapping[str, torch.dtype] = MappingProxyType({"bf16": torch.bfloat16, "fp16": torch.float16})
PRECISIONS = (FLOAT32, *REDUCED)

Function = TypeVar("Function", nn.Module, Callable[[Tensor], Tensor])


class Autocast(nn.Module):
    """``function`` of clips (B, T, J, C), each call in an autocast of its own: casting the weights is part of a call.

    What comes out is in whatever precision the last operator left it.
    """

    def __init__(self, function: Callable[[Tensor], Tensor], precision: str, device: torch.device | str) -> None:
        super().__init__()
        self.function, self.device, self.dtype = function, torch.device(device).type, REDUCED[precision]

    def forward(self, clips: Tensor) -> Tensor:
        """Raises NotImplementedError where torch has no such autocast: by itself it warns and goes on in float32."""
        with torch.autocast(self.device, dtype=self.dtype):
            if not torch.is_autocast_enabled(self.device):
                raise NotImplementedError(f"torch has no autocast to {self.dtype} for {self.device}")
            return self.function(clips)


def in_precision(function: Function, precision: str, device: torch.device | str) -> Function | Autocast:
    """A model, or what was made of it, in one of PRECISIONS on ``device``; in ``fp32`` it is ``function`` itself."""
    return function if precision == FLOAT32 else Autocast(function, precision, device)

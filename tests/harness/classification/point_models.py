"""Point-cloud models small enough for tests, as third parties would bring them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

MODULE = __name__


class TinyPointNet(nn.Module):
    """A perceptron of each point and the maximum over points (Qi et al., CVPR 2017)."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.points = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Linear(width, 2 * width), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU(), nn.Linear(width, classes))

    def forward(self, clouds: Tensor) -> Tensor:
        return self.head(self.points(clouds).amax(1))


class Patched(TinyPointNet):
    """Takes no cloud of fewer than 64 points."""

    def forward(self, clouds: Tensor) -> Tensor:
        if clouds.shape[1] < 64:
            raise ValueError(f"{clouds.shape[1]} points are fewer than patches=64")
        return super().forward(clouds)


class Beside(TinyPointNet):
    """A cloud's answer depends on the others in the batch."""

    def forward(self, clouds: Tensor) -> Tensor:
        logits = super().forward(clouds)
        return logits + logits.mean(0)


class BesideFirst(TinyPointNet):
    """A cloud's answer depends on the first in the batch."""

    def forward(self, clouds: Tensor) -> Tensor:
        logits = super().forward(clouds)
        return logits + logits[:1]


class Alone(TinyPointNet):
    """Takes batches alone."""

    def forward(self, clouds: Tensor) -> Tensor:
        assert len(clouds) > 1, "one cloud is no batch"
        return super().forward(clouds)


class Uncounted(TinyPointNet):
    """Cannot be called in the counters' place of it: on no numbers, or traced."""

    def forward(self, clouds: Tensor) -> Tensor:
        if clouds.is_meta or torch.jit.is_tracing():
            raise KeyError("no numbers")
        return super().forward(clouds)


class Changing(TinyPointNet):
    """Works in the place of its input."""

    def forward(self, clouds: Tensor) -> Tensor:
        return super().forward(clouds.mul_(0.5))


class Broken(TinyPointNet):
    """Has no answer once it has been trained."""

    def forward(self, clouds: Tensor) -> Tensor:
        logits = super().forward(clouds)
        return logits if self.training or clouds.shape[0] == 2 else logits / torch.zeros(())


def tiny(points: int, classes: int, width: int = 32) -> TinyPointNet:
    return TinyPointNet(classes, width)


def patched(points: int, classes: int) -> TinyPointNet:
    return Patched(classes, 8)


def beside(points: int, classes: int) -> TinyPointNet:
    return Beside(classes, 8)


def beside_first(points: int, classes: int) -> TinyPointNet:
    return BesideFirst(classes, 8)


def alone(points: int, classes: int) -> TinyPointNet:
    return Alone(classes, 8)


def uncounted(points: int, classes: int) -> TinyPointNet:
    return Uncounted(classes, 8)


def changing(points: int, classes: int) -> TinyPointNet:
    return Changing(classes, 8)


def unbuildable(points: int, classes: int) -> TinyPointNet:
    raise AssertionError("classes % 64 == 0")


class Asserting(TinyPointNet):
    def forward(self, clouds: Tensor) -> Tensor:
        assert clouds.shape[1] % 64 == 0, "P % 64 == 0"
        return super().forward(clouds)


def asserting(points: int, classes: int) -> TinyPointNet:
    return Asserting(classes, 8)


def broken(points: int, classes: int) -> TinyPointNet:
    return Broken(classes, 8)


def misshapen(points: int, classes: int) -> nn.Module:
    return nn.Linear(3, classes)

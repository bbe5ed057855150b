"""Logits of test clouds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.classification.cloud_set import CloudSet
from harness.errors import RunFailed

BATCH = 32
#: How much the logits of a cloud may change by what lies beside it in a batch, relative to the largest.
_BESIDE = 1e-3


def logits(
    model: nn.Module, name: str, data: CloudSet, device: str, progress: Callable[[float], None] = lambda share: None
) -> NDArray[np.float32]:
    """(N, K) for the test clouds, in eval mode, BATCH clouds at a time.

    Raises RunFailed naming model and cloud for a logit that is not finite.
    """
    points = torch.from_numpy(data.test.points)
    found = np.empty((len(points), len(data.classes)), dtype=np.float32)
    model.to(device).eval()
    with torch.inference_mode():
        for first in range(0, len(points), BATCH):
            batch = model(points[first : first + BATCH].to(device)).float().cpu().numpy()
            _require_finite(batch, first, name, data)
            found[first : first + BATCH] = batch
            progress(min(1.0, (first + BATCH) / len(points)))
    return found


def doubts(model: nn.Module, data: CloudSet, device: str, found: NDArray[np.float32]) -> list[str]:
    """A sentence where the first cloud alone gets other logits than ``found`` in its batch: nobody uses a model so."""
    with torch.inference_mode():
        alone = model(torch.from_numpy(data.test.points[:1]).to(device)).float().cpu().numpy()
    change = float(np.abs(alone[0] - found[0]).max() / (np.abs(found[0]).max() + 1e-12))
    if change <= _BESIDE:
        return []
    return [
        f"a cloud's answer depends on which clouds are beside it in a batch (logits differ by {100 * change:.1f} %"
        f" when it is alone); the accuracy is that of batches of {BATCH}"
    ]


def _require_finite(batch: NDArray[np.float32], first: int, name: str, data: CloudSet) -> None:
    bad = np.flatnonzero(~np.isfinite(batch).all(axis=1))
    if len(bad):
        cloud = first + int(bad[0])
        raise RunFailed(
            f"{name}: the logits of test cloud {cloud} ({data.classes[data.test.labels[cloud]]}) are not finite; a"
            " smaller --learning-rate usually helps"
        )

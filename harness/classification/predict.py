"""Logits of test clouds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from harness.classification.cloud_set import CloudSet
from harness.classification.point_model import reason
from harness.errors import RunFailed

#: (N, K), one row a test cloud.
Logits = NDArray[np.float32]

BATCH = 32
#: How much the logits of a cloud may change by what lies beside it in a batch, relative to the largest.
_BESIDE = 1e-3


def logits(
    model: nn.Module, name: str, data: CloudSet, device: str, progress: Callable[[float], None] = lambda share: None
) -> Logits:
    """(N, K) for the test clouds, in eval mode, BATCH clouds at a time.

    Raises RunFailed naming model and cloud for a logit that is not finite.
    """
    points = torch.from_numpy(data.test.points)
    found = np.empty((len(points), len(data.classes)), dtype=np.float32)
    model.to(device).eval()
    with torch.inference_mode():
        for first in range(0, len(points), BATCH):
            # A copy: a model that changes its input must not change the data.
            batch = model(points[first : first + BATCH].to(device, copy=True)).float().cpu().numpy()
            _require_finite(batch, first, name, data)
            found[first : first + BATCH] = batch
            progress(min(1.0, (first + BATCH) / len(points)))
    return found


def doubts(model: nn.Module, data: CloudSet, device: str, found: Logits) -> list[str]:
    """A sentence where a cloud alone gets other logits than ``found`` in its batch, or none: it is used alone.

    It is the last of the first batch: the first one would not tell that every cloud's answer depends on the first.
    """
    last = min(BATCH, len(found)) - 1
    try:
        with torch.inference_mode():
            alone = model(torch.from_numpy(data.test.points[[last]]).to(device)).float().cpu().numpy()
    except Exception as error:  # whatever a third party's model raises
        return [f"one cloud alone cannot be classified: {reason(error)}"]
    change = float(np.abs(alone.reshape(-1) - found[last]).max() / (np.abs(found[last]).max() + 1e-12))
    if change <= _BESIDE:
        return []
    return [
        f"a cloud's answer depends on which clouds are beside it in a batch (logits differ by {100 * change:.1f} %"
        f" when it is alone); the accuracy is that of batches of {BATCH}"
    ]


def _require_finite(batch: Logits, first: int, name: str, data: CloudSet) -> None:
    bad = np.flatnonzero(~np.isfinite(batch).all(axis=1))
    if len(bad):
        cloud = first + int(bad[0])
        raise RunFailed(
            f"{name}: the logits of test cloud {cloud} ({data.classes[data.test.labels[cloud]]}) are not finite; a"
            " smaller --learning-rate usually helps"
        )

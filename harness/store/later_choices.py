"""Choices of a run that came after the first records, and how all runs were before: so these keep meaning and id.

The one list of them: what resolves a configuration, compares records or prints commands reads it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Left out of a configuration's hash where they are as before, so that the ids of earlier runs stay.
UNHASHED: Mapping[str, Any] = {
    "precision": "fp32", "activation_checkpointing": False, "accumulate": 1, "training_precision": "fp32",
    "compiled": False,
}  # fmt: skip
#: With those that came before ids were kept.
BEFORE: Mapping[str, Any] = {
    **UNHASHED, "windows": "auto", "protocol": "all", "space": "auto", "xy": "predicted", "root": "zeroed",
}  # fmt: skip

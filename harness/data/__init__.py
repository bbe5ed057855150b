"""Data sets, from files or generated, as sequences of 2D detections and 3D truth."""

from harness.data.sequence import Dataset, Sequence
from harness.data.source import load

__all__ = ["Dataset", "Sequence", "load"]

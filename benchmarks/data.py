"""Times the way of the data at Human3.6M's full size: converting, opening, and what a training is fed with.

    python benchmarks/data.py --folder SCRATCH --json data.json

Made-up arrays of 1,559,752 training and 566,920 test frames are stored as a converted set is (about 0.9 GB in FOLDER,
removed afterwards). Opening is timed in fresh processes, with their memory; a batch of training clips of 243 frames is
timed against a training step of PoseMamba-S on it, in turns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness import models
from harness.data import array_store
from harness.data.camera import Camera
from harness.data.normalise import target_space
from harness.data.sequence import Dataset, Sequence
from harness.training import losses
from harness.training.batches import TrainingClips

TRAIN_FRAMES, TEST_FRAMES, VIDEO = 1_559_752, 566_920, 2_600
FRAMES, BATCH = 243, 4
CAMERA = Camera("54138969", 1000, 1002, focal=(1145.05, 1143.78), centre=(512.54, 515.45))

#: Seconds that opening takes, and the largest resident memory of the whole process, the interpreter's and numpy's too.
OPENING = """
import json, pathlib, re, sys, time
from harness.data import array_store
def make(): raise SystemExit("the store was not found")
start = time.perf_counter()
dataset = array_store.stored([pathlib.Path(sys.argv[1])], "made-up", make, version=1)
seconds = time.perf_counter() - start
frames = sum(map(len, (*dataset.train, *dataset.test)))
status = pathlib.Path("/proc/self/status").read_text()  # what getrusage says begins with the parent's peak
peak = int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024
print(json.dumps({"seconds": seconds, "mib": peak, "frames": frames}))
"""


def video(number: int, length: int) -> Sequence:
    rng = np.random.default_rng(number)
    truth = rng.normal([0, 0, 5000], [300, 500, 200], (length, 17, 3)).astype(np.float32)
    return Sequence(
        name=f"S1/Walking/{number}/54138969",
        subject="S1",
        action="Walking",
        take=f"S1/Walking/{number}",
        camera=CAMERA,
        fps=50.0,
        keypoints=CAMERA.project(truth).astype(np.float32),
        confidence=np.ones((length, 17), dtype=np.float32),
        truth=truth,
    )


def made_up() -> Dataset:
    return Dataset("made-up", "gt", videos(TRAIN_FRAMES), videos(TEST_FRAMES))


def videos(frames: int) -> tuple[Sequence, ...]:
    lengths = [min(VIDEO, frames - start) for start in range(0, frames, VIDEO)]
    return tuple(video(number, length) for number, length in enumerate(lengths))


def stored(source: Path) -> Dataset:
    return array_store.stored([source], "made-up", made_up, version=1)


def fed_and_trained(dataset: Dataset, steps: int) -> dict[str, float]:
    """Median seconds of a batch of clips, and of a training step that consumes it, in turns."""
    clips = TrainingClips(dataset.train, FRAMES, 3, target_space("image"), FRAMES // 3)
    model = models.build("posemamba-s", FRAMES, 3).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    batches = clips.epoch(0, 0, BATCH, flip=True)
    feeding, training = [], []
    for _ in range(steps):
        start = time.perf_counter()
        batch = next(batches)
        fed = time.perf_counter()
        optimizer.zero_grad()
        losses.total(model(batch.inputs), batch.targets, losses.LossWeights()).backward()
        optimizer.step()
        feeding.append(fed - start)
        training.append(time.perf_counter() - fed)
    return {"batch_s": statistics.median(feeding), "step_s": statistics.median(training)}


def in_fresh_process(source: Path) -> dict[str, Any]:
    words = [sys.executable, "-c", OPENING, str(source)]
    return dict(json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(dir=given.folder))
    try:
        source = scratch / "source"
        source.write_bytes(b"made up")
        start = time.perf_counter()
        dataset = stored(source)
        found: dict[str, Any] = {"convert_s": time.perf_counter() - start}
        found["open"] = [in_fresh_process(source) for _ in range(3)]
        found["training"] = fed_and_trained(dataset, given.steps)
    finally:
        shutil.rmtree(scratch)
    ratio = found["training"]["step_s"] / found["training"]["batch_s"]
    print(f"made up and written: {found['convert_s']:.1f} s for {TRAIN_FRAMES + TEST_FRAMES:,} frames")
    print("opened:", ", ".join(f"{entry['seconds']:.2f} s and {entry['mib']:.0f} MiB" for entry in found["open"]))
    print(f"batch of {BATCH} x {FRAMES} frames: {1000 * found['training']['batch_s']:.2f} ms;", end=" ")
    print(f"training step of PoseMamba-S: {1000 * found['training']['step_s']:.0f} ms, {ratio:.0f} times as long")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

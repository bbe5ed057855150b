"""The commands of one round, on tiny models and data: every round has seeds, sizes and data files of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.harness.data import mpi_inf_3dhp_files as files

MODEL = "posemamba-xs"
OPTIONS = {"dim": 16, "depth": 1, "drop_path": 0.3}
DATA = "synthetic:train_minutes=0.2,test_minutes=0.1"
STEPS, FRAMES = 30, 9
#: Frames of a recording to be converted: enough for its arrays to take a while to be written.
RECORDED = 20_000


@dataclass(frozen=True)
class Place:
    """Where a round works: ``results`` is the store of all rounds, ``data`` the files that this one converts."""

    results: Path
    data: Path


@dataclass(frozen=True)
class Chore:
    """One command; ``name`` is what it does."""

    name: str
    words: list[str]


def make_data(folder: Path) -> None:
    """Files in the layout of MPI-INF-3DHP, as its authors prepare it."""
    folder.mkdir(parents=True)
    train: dict[str, Any] = {"S1 Seq1": [{"0": files.walk(RECORDED, 0.0), "4": files.walk(RECORDED, 3.0)}, 25]}
    files.write(folder / files.TRAIN_FILE, train)
    files.write(folder / files.TEST_FILE, files.scored_recordings())


def chores(number: int, place: Place, run_id: str) -> list[Chore]:
    """Those of round ``number`` (from 0); ``run_id`` is that of its training."""
    options = [word for name, value in OPTIONS.items() for word in ("-o", f"{name}={value}")]
    here = ["--results", str(place.results)]
    exact = ["--threads", "1", "--device", "cpu"]
    train = ["run", "--model", MODEL, *options, "--data", DATA, "--frames", str(FRAMES), "--batch-size", "2",
             "--steps", str(STEPS), "--seed", str(number), *exact, *here]  # fmt: skip
    return [
        Chore("train", train),
        Chore("train again", [*train, "--again"]),
        Chore("evaluate", ["evaluate", "--run", run_id, "--data", DATA, "--data-seed", str(number + 1), *exact, *here]),
        Chore("measure", ["measure", "--model", "martinez", "--frames", str(FRAMES + number), "--rounds", "2",
                          "--samples", "6", "--seconds", "0", *exact, *here]),
        Chore("convert", ["data", "convert", f"3dhp:{place.data}", *here]),
        Chore("report", ["compare", "report", *here]),
    ]  # fmt: skip

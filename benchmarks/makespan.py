"""The whole comparison on paper: all lifters at T = 27, 81 and 243 with five seeds, on 8, 64 and 512 devices.

    python -m benchmarks.makespan --json build/bench-makespan.json

Nothing is trained. Durations are the cost model's (harness.sweep.estimate) from what the committed stores measured on
two processor cores, for data of Human3.6M's size and each family's published recipe; a lifter whose family has none
takes PoseMamba's. What is assumed, and printed with the figures:

--speed       how many times as fast a device trains as the two cores did. They reach 0.2 TFLOP/s in float32 matrix
              products; 100 is a device that gets as large a share of 20 TFLOP/s, which is an A100's float32 outside its
              tensor cores, and 400 one of 80, which is half of its TF32
--start       seconds of a point that no device makes shorter: Python, data, the lifter, counting
--overhead    seconds a device waits for its next point; benchmarks.sweep_overhead measures them
--efficiency  of several devices that share one training, where the longest points are shared out
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import contract, models
from harness.config import RunConfig
from harness.data.h36m_contents import PICKLE_FRAMES
from harness.errors import BadInput
from harness.progress import ProgressLine
from harness.store.measurement import MEASUREMENTS
from harness.store.record import RUNS
from harness.store.store import Store
from harness.sweep import makespan
from harness.sweep.estimate import SOURCES, CostModel
from harness.sweep.makespan import Schedule
from harness.sweep.workload import Counted, Workload
from harness.training.budget import Budget
from harness.training.recipes import recipe

RESULTS = Path(__file__).resolve().parent.parent / "results"
FRAMES, SEEDS = (27, 81, 243), 5
DEVICES = (8, 64, 512)
SPEEDS = (25.0, 100.0, 400.0)
START_S, OVERHEAD_S, EFFICIENCY = 30.0, 3.0, 0.9
#: One training is shared by the devices of one node at most.
NODE = 8
#: Another name of a lifter that is in the grid.
ALIASES = ("posemamba",)
#: For families that published no recipe.
OTHERWISE = "posemamba"
#: What the committed surveys were measured with, and the frames of one test video on average: 566,920 in 236 of them.
THREADS, VIDEO_FRAMES = 2, 2402
_FILES = (RUNS.file_name, MEASUREMENTS.file_name)
HOUR_S, DAY_S = 3600.0, 86400.0


@dataclass(frozen=True)
class Trained:
    """A point of the grid: its duration on the cores that were measured, and where that is from."""

    model: str
    frames: int
    core_s: float
    source: str


class OfHuman36M:
    """Workloads on data of Human3.6M's size, which need not be there; the ends of videos are not looked at."""

    def __init__(self) -> None:
        self._counted = Counted(RESULTS / "cache", print)

    def of(self, planned: RunConfig) -> Workload:
        chosen = planned.training_recipe()
        stated = contract.of(models.configure(planned.model, planned.frames, planned.in_channels))
        clips = PICKLE_FRAMES["train"] // chosen.clip_stride(stated.output_frames(planned.frames))
        clips *= 2 if chosen.flip == "both" else 1
        cutting = stated.cutting(planned.frames)
        read = cutting.count(VIDEO_FRAMES) * len(next(iter(cutting.windows(VIDEO_FRAMES))).indices)
        videos = PICKLE_FRAMES["test"] / VIDEO_FRAMES
        return Workload(clips // planned.batch_size, planned.batch_size, 2 * videos * read / planned.frames)

    def step_operations(self, planned: RunConfig) -> float | None:
        return self._counted.step_operations(planned)


def published_recipe(model: str) -> str:
    """That of the lifter's authors, or of another size of its family."""
    family = [name for name, entry in models.MODELS.items() if entry.module == models.MODELS[model].module]
    known = [models.MODELS[name].recipe for name in (model, *family)]
    return next((name for name in known if name), OTHERWISE)


def grid(names: Iterable[str], frames: Sequence[int]) -> tuple[list[RunConfig], list[str]]:
    """One run for each lifter and T, of seed 0, and what cannot be built, with the reason.

    A lifter that sees each frame by itself does the same at every T, and is there once.
    """
    planned, left_out = [], []
    for name in names:
        chosen = recipe(published_recipe(name))
        single = models.MODELS[name].frames == (1,)
        for length in (1,) if single else frames:
            try:
                built = models.configure(name, length)
            except BadInput as error:
                left_out.append(f"{name} at T = {length}: {error}")
                continue
            planned.append(
                RunConfig(
                    name,
                    frames=length,
                    in_channels=built.in_channels,
                    recipe=chosen.name,
                    budget=Budget(epochs=chosen.epochs),
                    batch_size=chosen.batch_size,
                    learning_rate=chosen.learning_rate,
                    threads=THREADS,
                )
            )
    return planned, left_out


def measured(planned: Sequence[RunConfig], costs: CostModel) -> list[Trained]:
    """Each run's duration on the cores of the stores."""
    found = []
    line = ProgressLine("estimating")
    for number, one in enumerate(planned):
        line.update(number / len(planned), f"{one.model} at T = {one.frames}")
        estimate = costs.of_run(one)
        if estimate.seconds is None:
            raise BadInput(f"{one.model} at T = {one.frames}: its operations cannot be counted")
        found.append(Trained(one.model, one.frames, estimate.seconds, estimate.source))
    line.close()
    return found


def shared_out(durations_s: Sequence[float], devices: int, efficiency: float) -> tuple[list[float], list[int]]:
    """Durations and devices of points, the longest of which several devices of a node share.

    A point is given as few as keep it within half of what all devices need for everything, if so many are of use.
    """
    aim_s = sum(durations_s) / devices / 2
    shared, widths = [], []
    for duration_s in durations_s:
        widths.append(next((w for w in (1, 2, 4) if duration_s / _gain(w, efficiency) <= aim_s), NODE))
        shared.append(duration_s / _gain(widths[-1], efficiency))
    return shared, widths


def _gain(devices: int, efficiency: float) -> float:
    return 1.0 if devices == 1 else devices * efficiency


def schedules(durations_s: Sequence[float], devices: int, overhead_s: float, efficiency: float) -> dict[str, Schedule]:
    """Of the points in the grid's order, the longest first, and that with the longest shared out."""
    shared, widths = shared_out(durations_s, devices, efficiency)
    return {
        "in order": makespan.in_order(durations_s, devices, overhead_s=overhead_s),
        "longest first": makespan.longest_first(durations_s, devices, overhead_s=overhead_s),
        "longest shared": makespan.longest_first(shared, devices, widths=widths, overhead_s=overhead_s),
    }


def _stored(folders: Sequence[Path]) -> tuple[list[Any], list[Any]]:
    records = [record for folder in folders for record in Store(folder).latest()]
    return records, [row for folder in folders for row in Store(folder, MEASUREMENTS).latest()]


def _say_grid(trained: Sequence[Trained], left_out: Sequence[str], args: argparse.Namespace) -> None:
    print(
        f"{len({one.model for one in trained})} lifters, T = {', '.join(map(str, args.frames))}, {args.seeds} seeds: "
        f"{len(trained) * args.seeds} runs, {args.seeds * sum(one.core_s for one in trained) / DAY_S:,.0f} days on two "
        "cores"
    )
    for line in left_out:
        print(f"  left out: {line}")
    for source, count in Counter(one.source for one in trained).items():
        print(f"  {count} of {len(trained)} durations by {SOURCES[source]}")
    total_s = sum(one.core_s for one in trained)
    for name in ("model", "frames"):
        spent = Counter[Any]()
        for one in trained:
            spent[getattr(one, name)] += round(one.core_s)
        parts = ", ".join(f"{key} {part / total_s:.0%}" for key, part in spent.most_common(8))
        print(f"  by {'T' if name == 'frames' else name}: {parts}")


def _simulate(trained: Sequence[Trained], speed: float, args: argparse.Namespace) -> list[dict[str, Any]]:
    durations_s = [args.start + one.core_s / speed for _ in range(args.seeds) for one in trained]
    longest = max(trained, key=lambda one: one.core_s)
    print(
        f"\na device {speed:g} times as fast as the two cores: {sum(durations_s) / DAY_S:,.1f} device-days; the "
        f"longest run, {longest.model} at T = {longest.frames}, takes {max(durations_s) / HOUR_S:.1f} hours"
    )
    print(f"  {'devices':>7}  {'order':<14}  {'makespan':>10}  {'bound':>10}  {'busy':>5}")
    rows = []
    for devices in args.devices:
        for order, found in schedules(durations_s, devices, args.overhead, args.efficiency).items():
            print(
                f"  {devices:>7}  {order:<14}  {found.makespan_s / HOUR_S:>8.1f} h  {found.bound_s / HOUR_S:>8.1f} h  "
                f"{found.utilisation:>5.0%}"
            )
            rows.append({"speed": speed, "order": order, **dataclasses.asdict(found), "bound_s": found.bound_s})
    useful = makespan.in_order(durations_s, 1).useful_slots
    overhead = args.overhead * len(durations_s) / sum(durations_s)
    print(f"  beyond {useful} devices the longest run decides; overhead is {overhead:.2%} of the work")
    return rows


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, nargs="+", help="folders of stores  [default: all of results/]")
    parser.add_argument("--model", nargs="+", default=[name for name in models.MODELS if name not in ALIASES])
    parser.add_argument("--frames", type=int, nargs="+", default=list(FRAMES))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--devices", type=int, nargs="+", default=list(DEVICES))
    parser.add_argument("--speed", type=float, nargs="+", default=list(SPEEDS))
    parser.add_argument("--start", type=float, default=START_S)
    parser.add_argument("--overhead", type=float, default=OVERHEAD_S)
    parser.add_argument("--efficiency", type=float, default=EFFICIENCY)
    parser.add_argument("--json", type=Path)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; with --json write it, with every duration it rests on."""
    args = _arguments(argv)
    folders = args.results or sorted({path.parent for name in _FILES for path in RESULTS.glob(f"*/{name}")})
    records, rows = _stored(folders)
    planned, left_out = grid(args.model, args.frames)
    trained = measured(planned, CostModel(records, rows, OfHuman36M(), _no_product))
    _say_grid(trained, left_out, args)
    simulated = [row for speed in args.speed for row in _simulate(trained, speed, args)]
    if args.json:
        assumed = {name: getattr(args, name) for name in ("start", "overhead", "efficiency", "seeds")}
        document = {"assumed": assumed, "runs": list(map(dataclasses.asdict, trained)), "schedules": simulated}
        args.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


def _no_product(device: str) -> float:
    raise BadInput("the stores have no training whose rate could be taken; give others with --results")


if __name__ == "__main__":
    sys.exit(main())

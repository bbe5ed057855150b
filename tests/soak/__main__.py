"""``python -m tests.soak [--kills N] [--seed S]``: one line, and exit code 0 where nothing was lost, else 1."""

from __future__ import annotations

import argparse
import collections
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from harness import config
from harness.progress import ProgressLine
from harness.training.budget import Budget
from tests.soak import audit, process
from tests.soak.audit import Audit, Lost
from tests.soak.chore import DATA, FRAMES, MODEL, OPTIONS, STEPS, Chore, Place, chores, make_data

#: How often a command is to be killed rather than left to end.
SHARE_KILLED = 0.7


class Soak:
    """Rounds of commands in ``folder``: in ``whole`` they are left alone, in ``broken`` they are killed."""

    def __init__(self, folder: Path, kills: int, seed: int) -> None:
        self._folder, self._wanted, self._random = folder, kills, random.Random(seed)
        self._line = ProgressLine("soaking")
        self.whole, self.broken = Audit(folder / "whole"), Audit(folder / "broken")
        for results in (self.whole.results, self.broken.results):
            results.mkdir(parents=True)
        self.kills: collections.Counter[str] = collections.Counter()
        self.rounds = 0

    def run(self) -> None:
        """Raises Lost, and Hang."""
        while self.kills.total() < self._wanted:
            self._round(self.rounds)
            self.rounds += 1
        self._line.close()

    def _round(self, number: int) -> None:
        places = []
        for side in (self.whole, self.broken):
            places.append(Place(side.results, self._folder / f"data-{side.results.name}-{number}"))
            make_data(places[-1].data)
        run_id = _run_id(number)
        for quiet, noisy in zip(*(chores(number, place, run_id) for place in places), strict=True):
            started = time.monotonic()
            self._finish(quiet)
            self._suffer(noisy, time.monotonic() - started, number)
        self.whole.look()
        audit.compare(self.whole, self.broken)
        audit.require_converted(places)
        self._require_report()
        audit.require_nothing_temporary(self.broken.results, *(place.data for place in places))

    def _suffer(self, chore: Chore, duration_s: float, number: int) -> None:
        """The command again and again until it is done."""
        while self.kills.total() < self._wanted and self._random.random() < SHARE_KILLED:
            self._line.update(self.kills.total() / self._wanted, f"round {number + 1}, {chore.name}")
            code = process.run(chore.words, self._log, self._random.random() * duration_s)
            self.broken.look()
            if code is not None:
                self._require_success(chore, code)
                return
            self.kills[chore.name] += 1
        self._finish(chore)
        self.broken.look()

    def _finish(self, chore: Chore) -> None:
        self._require_success(chore, process.run(chore.words, self._log))

    def _require_success(self, chore: Chore, code: int | None) -> None:
        if code != 0:
            last = self._log.read_text(errors="replace").splitlines()[-3:]
            raise Lost(f"{chore.name} ended with {code}: harness {' '.join(chore.words)}: {' / '.join(last)}")

    def _require_report(self) -> None:
        """The report that was killed while it was written is the one of the same records that was not."""
        again = self._folder / "report-again"
        words = ["compare", "report", "--results", str(self.broken.results), "--out", str(again)]
        self._finish(Chore("report", words))
        audit.require_equal_files(self.broken.results / "report", again)
        shutil.rmtree(again)

    @property
    def _log(self) -> Path:
        return self._folder / "log.txt"


def _run_id(number: int) -> str:
    planned = config.resolve(
        MODEL, options=OPTIONS, data=DATA, frames=FRAMES, batch_size=2, budget=Budget(steps=STEPS), seed=number,
        threads=1, device="cpu",
    )  # fmt: skip
    return planned.run_id()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0, help="of what is killed when; the moments depend on speed, too")
    given = parser.parse_args()
    process.prepare()
    folder = Path(tempfile.mkdtemp(prefix="harness-soak-"))
    soak, started = Soak(folder, given.kills, given.seed), time.monotonic()
    try:
        soak.run()
    except (Lost, process.Hang) as error:
        print(f"LOST after {soak.kills.total()} kills (seed {given.seed}): {error}. All is kept in {folder}")
        return 1
    shutil.rmtree(folder)
    where = ", ".join(f"{name} {count}" for name, count in sorted(soak.kills.items()))
    print(
        f"ok: {soak.kills.total()} kills ({where}) in {soak.rounds} rounds and {time.monotonic() - started:.0f} s, "
        f"seed {given.seed}: {soak.broken.finished} finished records all kept and bit-equal to those of a twin without "
        "kills; no temporary file is left"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

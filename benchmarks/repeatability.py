"""Whether a model that is measured twice gives medians that agree within the stated intervals.

    python benchmarks/repeatability.py [MODEL ...]

Measures every model at T = 27 and 81 twice, one survey after the other, each by the usual protocol into a store of its
own. Prints both medians with their 95 % intervals, and whether each median lies in the other's interval ("agree"), the
intervals overlap at least ("overlap"), or neither ("DIFFER", and the exit code is 1). On a machine that other programs
use, an honest interval is wide; one that is too narrow shows here.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from harness import threads

MODELS = ("posemamba-xs", "motionagformer-xxs", "posemamba-s", "motionagformer-xs")
FRAMES = (27, 81)


def main(models: tuple[str, ...]) -> None:
    threads.sleep_while_waiting()  # before torch is loaded, as the command does it
    first, second = _survey(models), _survey(models)
    print(f"{'model':22} {'T':>4}  {'first, ms':28} {'second, ms':28}")
    agreements = []
    for one, other in zip(first, second, strict=True):
        agreements.append(_agreement(one, other))
        print(f"{one.label:22} {one.point.frames:4}  {_shown(one):28} {_shown(other):28} {agreements[-1]}")
    sys.exit("DIFFER" in agreements)


def _survey(models: tuple[str, ...]) -> list:
    from harness.complexity.summary import summarise
    from harness.measurement import survey
    from harness.measurement.request import Request

    with tempfile.TemporaryDirectory() as folder:
        request = Request(models=models, frames=FRAMES)
        return summarise(survey.measure(request, Path(folder), say=lambda line: print(line, file=sys.stderr)))


def _shown(summary) -> str:
    found = summary.samples
    if found is None or found.low_ms is None:
        return f"{summary.verdict or summary.status}"
    return f"{found.median_ms:.2f} [{found.low_ms:.2f}, {found.high_ms:.2f}] {summary.verdict}"


def _agreement(one, other) -> str:
    a, b = one.samples, other.samples
    if a is None or b is None or a.low_ms is None or b.low_ms is None:
        return "no interval"
    if a.low_ms <= b.median_ms <= a.high_ms and b.low_ms <= a.median_ms <= b.high_ms:
        return "agree"
    return "overlap" if a.low_ms <= b.high_ms and b.low_ms <= a.high_ms else "DIFFER"


if __name__ == "__main__":
    main(tuple(sys.argv[1:]) or MODELS)

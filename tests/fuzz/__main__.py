"""``python -m tests.fuzz --minutes 5``: new files for every parser until the time is up.

Prints what was tried, and exits with 1 where a file did anything but be read or refused; hypothesis prints that file.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from tests.fuzz.parsers import PARSERS, Parser

_EXAMPLES_A_ROUND = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--seed", type=int, default=0, help="of the first round; the next ones count up")
    parser.add_argument("--only", choices=PARSERS, action="append", help="this parser; can be given several times")
    given_by_user = parser.parse_args()
    chosen = given_by_user.only or list(PARSERS)
    end = time.monotonic() + 60.0 * given_by_user.minutes
    tried, accepted = dict.fromkeys(chosen, 0), dict.fromkeys(chosen, 0)
    failed: set[str] = set()
    seed = given_by_user.seed
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < end and len(failed) < len(chosen):
            for name in [name for name in chosen if name not in failed]:
                verdicts: list[bool] = []
                if not _round(PARSERS[name], seed, Path(folder), verdicts):
                    failed.add(name)
                tried[name] += len(verdicts)
                accepted[name] += sum(verdicts)
                if time.monotonic() >= end:
                    break
            seed += 1
            print(f"round {seed - given_by_user.seed}: {sum(tried.values()):,} files", file=sys.stderr)
    for name in chosen:
        fate = "FAILED" if name in failed else "ok"
        print(f"{name:16} {fate:6} {tried[name]:9,} files, {accepted[name]:,} of them read, the others refused")
    return 1 if failed else 0


def _round(parser: Parser, seed: int, folder: Path, verdicts: list[bool]) -> bool:
    """Whether all of a round's files were read or refused; one that was not is printed."""

    @seeded(seed)
    @settings(
        max_examples=_EXAMPLES_A_ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(content=parser.files)
    def check(content: bytes) -> None:
        verdicts.append(parser.accepts(content, folder))

    try:
        check()
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        traceback.print_exception(error)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())

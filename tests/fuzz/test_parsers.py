"""Every parser on damaged and hostile files: read, or refused as the harness refuses; never a crash, hang or gigabytes.

The examples are the same every time; ``python -m tests.fuzz --minutes 5`` tries new ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.parsers import PARSERS

EXAMPLES = 80


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", PARSERS)
def test_a_file_is_read_or_refused(name: str, folder: Path) -> None:
    parser = PARSERS[name]
    verdicts = []

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )  # fmt: skip
    @given(content=parser.files)
    def check(content: bytes) -> None:
        verdicts.append(parser.accepts(content, folder))

    check()
    assert False in verdicts
    # A reader that refuses everything would pass: none of what the examples are made of.
    assert parser.accepts(parser.sound, folder)

"""A caption says how it was measured, on what, what to doubt and what is missing, in lines that fit."""

from __future__ import annotations

import pytest

from harness.complexity.summary import Summary, summarise
from harness.reporting import caption, placement
from tests.harness.complexity import rows


@pytest.fixture(scope="module")
def typical() -> list[Summary]:
    return summarise(rows.typical())


@pytest.mark.parametrize("width", [3.0, 7.6])
def test_no_line_is_wider_than_the_figure_and_no_word_is_lost(width: float) -> None:
    sentences = ["The first sentence, which is a longer one with many more words than fit on a line.", "Second."]
    lines = caption.wrapped(sentences, width)
    assert all(placement.text_width(line, caption.SIZE) <= 72 * width for line in lines)
    assert " ".join(lines).split() == " ".join(sentences).split()
    assert lines[-1] == "Second."
    assert len(lines) > 2 if width == 3.0 else len(lines) == 2


def test_the_protocol_is_in_words(typical: list[Summary]) -> None:
    said = caption.timing(typical)
    assert "Median of 90 samples in 3 rounds, each in a fresh process" in said
    assert "95 % interval of the median" in said
    assert "samples of at least 10 ms" in said
    assert caption.timing([]) == "Nothing was timed."
    assert "Bands" not in caption.timing(typical, bands=False)


def test_machine_conditions_and_day(typical: list[Summary]) -> None:
    said = caption.setting(typical)
    for words in ("Batch 1, fp32, cpu, 2 threads", "AMD EPYC 9R14", "2 cores", "torch 2.13.0", "2026-03-01"):
        assert words in said
    assert caption.machine({}) == "unknown machine"


def test_every_doubt_is_named(typical: list[Summary]) -> None:
    said = " ".join(caption.verdicts(typical))
    assert "NOISY" in said
    assert "motionbert T = 27" in said
    assert "INVALID" in said
    assert "motionbert T = 9 (the clock went backwards by 3 ms)" in said
    sound = [summary for summary in typical if summary.verdict == "STABLE"]
    assert caption.verdicts(sound) == ["Every duration is STABLE."]
    assert caption.verdicts([]) == []


def test_every_gap_has_its_reason(typical: list[Summary]) -> None:
    said = caption.gaps(typical)
    assert said[0].startswith("Out of memory (×): motionbert T = 2187 (out of memory at batch 1")
    assert "fp16 has no kernels on the CPU" in said[1]


def test_many_points_and_long_reasons_are_cut() -> None:
    gaps = [rows.out_of_memory("mixste", 10 + index) for index in range(20)]
    for gap in gaps:
        gap["error"] = "x" * 500 + "\nand more"
    (said,) = caption.gaps(summarise(gaps))
    assert "and 8 more points" in said
    assert len(said) < 300
    assert "and more\n" not in said

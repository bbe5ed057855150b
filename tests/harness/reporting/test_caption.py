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
    assert caption.machine({}, "cpu") == "unknown machine"


def test_a_gpu_is_named_for_points_on_it_alone() -> None:
    environment = {**rows.ENVIRONMENT, "gpu": "NVIDIA H100"}
    law = {"posemamba-s": rows.LAWS["posemamba-s"]}
    for device, named in (("cpu", False), ("cuda", True), ("cuda:0", True), ("cuda:1", False)):
        summaries = summarise(rows.survey(law, (27,), environment=environment, device=device))
        assert ("H100" in caption.setting(summaries)) == named


def test_all_commits_of_the_same_code_are_named() -> None:
    made = rows.survey({"posemamba-s": rows.LAWS["posemamba-s"]}, (27, 81, 243), rounds=1)
    made = [row for row in made if row.get("point")]
    for number, row in enumerate(made):
        row["environment"]["commit"] = {"id": f"{row['point']['frames']:03d}abcdefabc", "dirty": False}
        row["started"] = f"2026-03-01T08:{number:02d}:00+00:00"
    two = [row for row in made if row["point"]["frames"] != 243]
    assert "commits 027abcdefa and 081abcdefa;" in caption.setting(summarise(two))
    assert "commits 027abcdefa and 2 others;" in caption.setting(summarise(made))


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ((None, None, None), "The largest batch that ran, fp32"),
        (("memory",) * 3, "The largest batch by doubling, bounded by memory, fp32"),
        (("time",) * 3, "bounded by the time a forward may take, 2 s, fp32"),
        (("limit",) * 3, "bounded by the search's own limit, 256, fp32"),
        (
            ("limit", "limit", "time"),
            "the search's own limit, 256 (2 points) and by the time a forward may take, 2 s (1",
        ),
    ],
)
def test_the_largest_batch_is_what_ended_the_search(bounds: tuple[str | None, ...], said: str) -> None:
    law = {"posemamba-s": rows.LAWS["posemamba-s"]}
    made = rows.survey(law, (27, 81, 243), batch=8, batch_asked="auto")
    by_length = dict(zip((27, 81, 243), bounds, strict=True))
    for row in made:
        if row["pass"] == "cost":
            row |= {"largest_batch": 8, "largest_batch_bound": by_length[row["point"]["frames"]]}
        row["protocol"] |= {"batch_seconds": 2.0, "batch_limit": 256}
    assert said in caption.setting(summarise(made))


def surveyed(settings: dict[int, dict[str, float]]) -> list[Summary]:
    """One lifter, the rounds of whose T were made to the settings of the protocol given for it."""
    made = rows.survey({"posemamba-s": rows.LAWS["posemamba-s"]}, tuple(settings))
    for row in made:
        if row.get("point"):
            row["protocol"] |= settings[row["point"]["frames"]]
    return summarise(made)


def test_several_protocols_are_told_apart() -> None:
    assert "protocol" not in caption.timing(surveyed({27: {}, 81: {}}))
    said = caption.timing(
        surveyed({
            27: {"min_samples": 4, "block_seconds": 0.001},
            243: {"min_samples": 4, "warm_up_calls": 5},
            729: {"min_samples": 2, "max_seconds": 60.0},
        })
    )  # fmt: skip
    assert "a warm-up of 5 to 10 calls or 1 s, samples of at least 1 to 10 ms" in said
    assert "Not all to the same protocol; samples a round, at least: 4 at T = 27 to 243, 2 at T = 729; " in said
    assert "seconds a round, at most: 30 at T = 27 to 243, 60 at T = 729." in said
    mixed = caption.timing(surveyed({27: {"min_samples": 4}, 81: {"min_samples": 2}, 243: {"min_samples": 4}}))
    assert "samples a round, at least: 2 to 4." in mixed


def test_samples_and_rounds_are_ranges() -> None:
    one = rows.survey({"posemamba-s": rows.LAWS["posemamba-s"]}, (27,), rounds=3, samples=2)
    other = rows.survey({"motionbert": rows.LAWS["motionbert"]}, (27,), rounds=3, samples=14)
    assert "Median of 6 to 42 samples in 3 rounds" in caption.timing(summarise([*one, *other]))


def test_every_doubt_is_named(typical: list[Summary]) -> None:
    said = " ".join(caption.verdicts(typical))
    assert "NOISY (samples or rounds more than 10 % of the median apart): 1 of 24 points, motionbert T = 27." in said
    (noisy,) = caption.verdicts([summary for summary in typical if summary.verdict == "NOISY"])
    assert noisy.endswith(": every point.")
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

"""Nothing is ranked across protocols, seeds stand together, and what failed stays visible."""

from __future__ import annotations

import statistics

from harness.reporting.group import group
from tests.harness.reporting import records


def titles(runs: list[dict]) -> list[list[str]]:
    return [[entry.title for entry in members.entries] for members in group(runs)]


def test_seeds_of_one_configuration_are_one_entry_ranked_by_their_mean() -> None:
    runs = [records.record(model, seed) for model in ("motionagformer-xs", "posemamba-s") for seed in (2, 0, 1)]
    (members,) = group(runs)
    assert [entry.title for entry in members.entries] == ["posemamba-s", "motionagformer-xs"]
    best = members.entries[0]
    p1_mm = [run["accuracy"]["p1_mm"] for run in runs if run["config"]["model"] == "posemamba-s"]
    assert [run["seed"] for run in best.runs] == [0, 1, 2]
    assert best.p1_mm == statistics.fmean(p1_mm)
    assert best.p1_sd_mm == statistics.stdev(p1_mm)


def test_fewer_than_three_seeds_have_no_spread() -> None:
    (members,) = group([records.record(seed=seed) for seed in (0, 1)])
    assert members.entries[0].p1_sd_mm is None


def test_other_detections_are_another_group_and_the_difference_is_named() -> None:
    longest, other = group(records.two_protocols())
    assert longest.differs == {"2d": "sh", "test set": "b2" * 6}
    assert other.differs == {"2d": "gt", "test set": "c3" * 6}
    assert len(longest.entries) > len(other.entries) == 1


def test_another_test_set_under_the_same_name_is_another_group() -> None:
    one, other = records.record("posemamba-s"), records.record("posemamba-xs")
    other["data"]["digest_test"] = "d4" * 32
    first, second = group([one, other])
    assert first.protocol == second.protocol
    assert first.differs == {"test set": "b2" * 6}
    assert second.differs == {"test set": "d4" * 6}


def test_clip_lengths_are_ranked_together_and_told_apart() -> None:
    runs = [records.record("posemamba-s", frames=frames) for frames in (27, 81)]
    assert titles(runs) == [["posemamba-s, T=81", "posemamba-s, T=27"]]


def test_configurations_of_one_model_are_told_apart_by_what_differs() -> None:
    one, other = records.record(), records.record(seed=1)
    other["config"]["batch_size"] = 32
    other["config"]["options"] = {"depth": 2}
    one["config"]["options"] = {"depth": 4}
    assert sorted(titles([one, other])[0]) == [
        "posemamba-xs (depth=2, batch_size=32)",
        "posemamba-xs (depth=4, batch_size=8)",
    ]


def test_precisions_of_one_model_are_ranked_together_and_told_apart() -> None:
    """Records without one are from before there was a choice."""
    plain, reduced, older = records.record(), records.reduced(), records.record(seed=1)
    plain["config"]["precision"] = "fp32"
    assert sorted(titles([plain, reduced, older])[0]) == [
        "posemamba-xs (precision=bf16)",
        "posemamba-xs (precision=fp32)",
    ]
    assert titles([plain, older]) == [["posemamba-xs"]]


def test_runs_from_before_activation_checkpointing_are_seeds_of_those_without_it() -> None:
    older, plain, recomputed = records.record(), records.record(seed=1), records.record(seed=2)
    plain["config"]["activation_checkpointing"] = False
    assert titles([older, plain]) == [["posemamba-xs"]]
    recomputed["config"]["activation_checkpointing"] = True
    assert sorted(titles([older, plain, recomputed])[0]) == [
        "posemamba-xs (activation_checkpointing=False)",
        "posemamba-xs (activation_checkpointing=True)",
    ]


def test_a_precision_that_is_not_float32_is_told_beside_other_models_as_well() -> None:
    assert sorted(titles([records.record("posemamba-s"), records.reduced()])[0]) == [
        "posemamba-s",
        "posemamba-xs (precision=bf16)",
    ]


def test_imported_weights_are_told_apart_by_their_digest() -> None:
    one, other = records.record(), records.record(seed=1)
    for run, digest in ((one, "aaaa1111ff"), (other, "bbbb2222ff")):
        del run["training"]
        run["weights"]["sha256"] = digest
    assert sorted(titles([one, other])[0]) == ["posemamba-xs (weights=aaaa1111)", "posemamba-xs (weights=bbbb2222)"]


def test_the_newest_record_of_a_run_counts() -> None:
    old, new = records.record(), records.record()
    old["accuracy"]["p1_mm"] = 1.0
    (members,) = group([old, new])
    assert len(members.entries[0].runs) == 1
    assert members.entries[0].p1_mm == new["accuracy"]["p1_mm"]


def test_a_failed_run_is_a_gap_where_it_would_have_been_scored() -> None:
    runs = [records.record("posemamba-s"), records.failed("motionagformer-s"), records.failed("posemamba-s", 1)]
    (members,) = group(runs)
    assert [(entry.title, len(entry.runs), len(entry.gaps)) for entry in members.entries] == [
        ("posemamba-s", 1, 1),
        ("motionagformer-s", 0, 1),
    ]
    assert members.scored == members.entries[:1]


def test_runs_that_only_failed_have_a_group_without_protocol() -> None:
    (members,) = group([records.failed()])
    assert members.protocol is None
    assert members.scored == ()
    assert group([]) == []


def test_names_of_groups_are_safe_in_file_names_and_distinct() -> None:
    runs = records.two_protocols()
    strange = records.record("posemamba-s")
    strange["signature"]["long"] = strange["signature"]["long"].replace("flip:yes", "flip:no")
    strange["id"] = "strange"
    names = [members.name for members in group([*runs, strange])]
    assert names == ["motion-sh", "motion-gt", "motion-sh--2"]

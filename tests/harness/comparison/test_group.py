"""Nothing is ranked across protocols, seeds stand together, and what failed stays visible."""

from __future__ import annotations

import copy
import statistics

import pytest

from harness.comparison.group import Entry, group
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


def test_weights_of_stored_runs_are_seeds_of_one_configuration_when_they_are_scored_again() -> None:
    """With other windows, or in another precision: what was chosen for the training is on record with it."""
    trained, again = [records.record(seed=seed) for seed in range(3)], [records.record(seed=seed) for seed in range(3)]
    for first, second in zip(trained, again, strict=True):
        first["weights"]["sha256"] = second["weights"]["sha256"] = f"{first['seed']}f" * 32
        del second["training"]
        second["id"] = f"evaluation-{second['id']}"
        forgotten = dict.fromkeys(("recipe", "budget", "batch_size", "learning_rate"))
        second["config"] = {**second["config"], **forgotten, "windows": "whole"}
    (members,) = group([*trained, *again])
    assert sorted((entry.title, entry.seeds) for entry in members.entries) == [
        ("posemamba-xs (windows=auto)", (0, 1, 2)),
        ("posemamba-xs (windows=whole)", (0, 1, 2)),
    ]
    assert again[0]["config"]["budget"] is None


def test_options_are_told_since_they_make_another_network() -> None:
    run = records.record("posemamba-s")
    run["config"]["options"] = {"dim": 64, "drop_path": 0.0}
    assert titles([run]) == [["posemamba-s (dim=64)"]]


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


def test_a_single_run_as_an_entry() -> None:
    run, gap = records.record(seed=3), records.failed()
    own = Entry.of(run)
    assert (own.title, own.runs, own.gaps, own.seeds) == (run["id"], (run,), (), (3,))
    assert (Entry.of(gap).runs, Entry.of(gap).gaps) == ((), (gap,))


def test_a_configuration_is_everything_but_the_seed() -> None:
    one, other = records.record(), records.record(seed=1)
    assert Entry.of(one).configuration == Entry.of(other).configuration
    other["config"]["batch_size"] = 32
    assert Entry.of(one).configuration != Entry.of(other).configuration


def test_names_of_groups_are_safe_in_file_names_and_distinct() -> None:
    runs = records.two_protocols()
    strange = records.record("posemamba-s")
    strange["signature"]["long"] = strange["signature"]["long"].replace("flip:yes", "flip:no")
    strange["id"] = "strange"
    names = [members.name for members in group([*runs, strange])]
    assert names == ["motion-sh", "motion-gt", "motion-sh--2"]


def evaluation(run: dict, protocol: str) -> dict:
    """The run's weights scored once more under another protocol."""
    again = copy.deepcopy(run)
    del again["training"]
    again["id"] = f"evaluation-{run['id']}-{protocol}"
    again["config"] |= {**dict.fromkeys(("recipe", "budget", "batch_size", "learning_rate")), "protocol": protocol}
    again["signature"]["long"] = again["signature"]["long"].replace("|data:", f"|protocol:{protocol}|data:")
    return again


def test_part_of_a_store_keeps_the_names_of_the_whole() -> None:
    """Evaluations alone would not know the trainings of their weights, and be one configuration for each of these."""
    trained = [records.record(seed=seed) for seed in range(3)]
    again = [evaluation(run, "motionbert") for run in trained]
    wider = records.record("posemamba-s", 1)
    wider["config"]["batch_size"] = 32
    runs = [*trained, *again, records.record("posemamba-s"), wider]
    whole = group(runs)
    (part,) = group(runs, only={run["id"] for run in again})
    assert [(entry.title, entry.seeds) for entry in part.entries] == [("posemamba-xs", (0, 1, 2))]
    assert part == next(members for members in whole if members.name == part.name)
    assert part.differs == {"protocol": "motionbert"}
    (one,) = group(runs, only={wider["id"]})
    assert [entry.title for entry in one.entries] == ["posemamba-s (batch_size=32)"]
    assert group(runs, only=set()) == []


@pytest.mark.parametrize(
    ("name", "value", "fields"),
    [
        ("protocol", "motionbert", "|protocol:motionbert|data:"),
        ("xy", "input", "|xy:input|data:"),
        ("root", "subtracted", "|missing:1|data:"),
        ("space", "image", "|truth:image|data:"),
        ("detector", "gt", "|missing:2|data:"),
    ],
)
def test_a_failed_run_is_filed_under_the_protocol_that_it_was_to_be_scored_by(
    name: str, value: str, fields: str
) -> None:
    usual, other = records.record("posemamba-s"), records.record("posemamba-s", 1)
    other["config"][name] = value
    other["signature"]["long"] = other["signature"]["long"].replace("|data:", fields)
    gap = records.failed("posemamba-xs")
    gap["config"][name] = value
    for runs in ([usual, other, gap], [other, usual, gap]):
        (found,) = [members for members in group(runs) if any(entry.gaps for entry in members.entries)]
        assert [entry.model for entry in found.entries] == ["posemamba-s", "posemamba-xs"]
        assert found.entries[0].any_run is other


def test_a_failed_run_under_a_protocol_that_nothing_was_scored_by_is_in_no_other_group() -> None:
    gap = records.failed("posemamba-xs")
    gap["config"]["protocol"] = "motionbert"
    _, unscored = group([records.record("posemamba-s"), gap])
    assert (unscored.protocol, [entry.model for entry in unscored.entries]) == (None, ["posemamba-xs"])


def test_the_path_of_the_data_is_no_choice_but_what_was_trained_on_is() -> None:
    one, moved, older = (records.record(seed=seed) for seed in range(3))
    moved["config"]["data"] = "motion:/elsewhere"
    assert titles([one, moved]) == [["posemamba-xs"]]
    moved["data"]["digest_train"] = "c3" * 32
    assert sorted(titles([one, moved])[0]) == [
        f"posemamba-xs (digest_train={'a1' * 6})",
        f"posemamba-xs (digest_train={'c3' * 6})",
    ]
    older["config"]["data"] = "motion:/elsewhere"
    del older["data"]["name"]
    assert len(titles([one, older])[0]) == 2

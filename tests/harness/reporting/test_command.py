"""A printed command, read back by the harness's own command line, is the run that it was printed for."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness import config, evaluating, models, run
from harness.cli.root import cli
from harness.config import RunConfig
from harness.reporting.command import commands, digest, notes
from harness.store.later_choices import UNHASHED
from harness.sweep import own_process
from harness.training.budget import Budget

REPOSITORY = Path(__file__).resolve().parents[3]
STORES = sorted((REPOSITORY / "results").glob("*/records.jsonl"))


def planned(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[RunConfig]:
    """The configurations that ``command`` would run, without running them."""
    found: list[RunConfig] = []
    monkeypatch.setattr(run, "build", lambda config: None)
    monkeypatch.setattr(models, "factory_of", lambda name: None)
    monkeypatch.setattr(run, "run", lambda config, *_: found.append(config))
    # Of several runs each has a process of its own, started by a command of its own.
    monkeypatch.setattr(own_process, "run", lambda point, *_: invoke(point.words))
    monkeypatch.setattr("harness.comparison.group.group", lambda records, **_: [])

    def invoke(words: Sequence[str]) -> None:
        result = CliRunner().invoke(cli, [*words, "--results", str(tmp_path)], catch_exceptions=False)
        assert result.exit_code == 0, result.output

    program, *words = shlex.split(command)
    assert program == "harness"
    invoke(words)
    return found


def asked(command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> evaluating.Request:
    """The request that ``command``, of harness evaluate, would carry out."""
    found: list[evaluating.Request] = []

    def evaluate(request: evaluating.Request, *_: Any) -> dict[str, Any]:
        found.append(request)
        return {"id": "evaluation"}

    monkeypatch.setattr(evaluating, "evaluate", evaluate)
    monkeypatch.setattr("harness.comparison.group.group", lambda records, **_: [])
    CliRunner().invoke(cli, [*shlex.split(command)[1:], "--results", str(tmp_path)], catch_exceptions=False)
    return found[0]


def record(chosen: RunConfig) -> dict[str, Any]:
    """As it comes out of a store."""
    return json.loads(json.dumps({"id": chosen.run_id(), "config": chosen.as_dict(), "config_hash": chosen.digest()}))


CHOICES: dict[str, dict[str, Any]] = {
    "as little as possible": {"model": "posemamba-xs"},
    "an option of every kind": {
        "model": "mixste",
        "options": {"dim": 64, "depth": 2, "heads": 4, "drop_path": 0.05},
        "recipe_name": "published",
        "budget": Budget(steps=2500),
    },
    "minutes that are no round seconds": {"model": "martinez", "budget": Budget(seconds=0.1 * 60)},
    "odd minutes": {"model": "martinez", "budget": Budget(seconds=1.0 / 3 * 60)},
    "processor time": {"model": "martinez", "budget": Budget(core_seconds=7.3 * 60), "device": "cpu"},
    "epochs": {"model": "martinez", "budget": Budget(epochs=3), "batch_size": 7, "learning_rate": 1e-5 / 3},
    "everything unusual": {
        "model": "posemamba-xs",
        "frames": 81,
        "in_channels": 2,
        "data": "synthetic:train_minutes=0.2,test_minutes=0.1",
        "detector": "gt",
        "data_seed": 3,
        "flip_test": False,
        "windows": "sliding",
        "protocol_name": "motionbert",
        "space": "image",
        "xy": "input",
        "precision": "bf16",
        "activation_checkpointing": True,
        "threads": 3,
        "options": {"drop_path": 0.0},
    },
    "a lifter of the user's": {
        "model": "my_package.lifters:Lifter",
        # What nobody declared is kept as it was written.
        "options": {"width": "64", "ratio": "0.10", "wide": "True", "name": "a b=c", "sizes": "3,3,9"},
    },
}


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_read_back_it_is_the_same_run(choice: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = [config.resolve(**choice, seed=seed) for seed in (4, 0)]
    (command,) = commands([record(one) for one in chosen])
    assert "\n" not in command
    assert [one.digest() for one in planned(command, monkeypatch, tmp_path)] == [one.digest() for one in chosen]
    assert [digest(record(one)["config"]) for one in chosen] == [one.digest() for one in chosen]


@pytest.mark.parametrize("store", STORES, ids=lambda path: path.parent.name)
def test_every_committed_run_can_be_made_again(store: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stored = [json.loads(line) for line in store.read_text(encoding="utf-8").splitlines()]
    trained = [one for one in stored if one["config"]["budget"]]
    assert trained
    for one in trained:
        (command,) = commands([one])
        (again,) = planned(command, monkeypatch, tmp_path)
        assert again.digest() == digest(one["config"]), command
        renamed = [note for note in notes([one]) if note.startswith("Recorded before")]
        assert bool(renamed) == (again.run_id() != one["id"])
        assert all(f"{again.run_id()} in place of {one['id']}." in note for note in renamed)


def test_there_are_committed_runs_under_both_kinds_of_identifiers() -> None:
    stored = [json.loads(line) for store in STORES for line in store.read_text(encoding="utf-8").splitlines()]
    assert {bool(notes([one])) for one in stored} == {True, False}


def test_a_budget_of_time_says_the_steps_that_it_came_to() -> None:
    timed = [record(config.resolve("martinez", budget=Budget(seconds=60.0), seed=seed)) for seed in range(3)]
    timed[0]["training"], timed[2]["training"] = {"steps": 1234}, {"steps": 999}
    assert notes(timed) == [
        "The budget is a time: how many steps it is enough for depends on the machine. Here it was 1,234 (seed 0), "
        "999 (seed 2)."
    ]
    assert notes(timed[1:2]) == [
        "The budget is a time: how many steps it is enough for depends on the machine."
    ]  # fmt: skip
    core = record(config.resolve("martinez", budget=Budget(core_seconds=60.0), device="cpu"))
    assert len(notes([core])) == 1
    assert (
        notes([record(config.resolve("martinez", budget=Budget(steps=7)))]) == notes([]) == notes([evaluated()]) == []
    )


def test_a_run_from_before_some_choices_existed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    chosen = config.resolve("posemamba-xs", seed=0)
    old = record(chosen)
    for name in ("windows", "protocol", "space", "xy", "root", *UNHASHED):
        del old["config"][name]
    (again,) = planned(commands([old])[0], monkeypatch, tmp_path)
    assert again.digest() == chosen.digest() == digest(old["config"])


def test_values_are_written_as_options_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    options = {"hops": (1, 2), "wide": True, "mask": None, "ratio": 1e-9}
    stranger = dataclasses.replace(config.resolve("a.b:c"), options=options)
    (again,) = planned(commands([record(stranger)])[0], monkeypatch, tmp_path)
    assert again.digest() == digest(record(stranger)["config"])
    assert again.options == {"hops": "1,2", "wide": "true", "mask": "none", "ratio": "1e-09"}


def test_all_seeds_are_in_one_command() -> None:
    (command,) = commands([record(config.resolve("posemamba-xs", seed=seed)) for seed in range(3)])
    assert command.endswith("--seed 0 1 2")


def test_what_a_shell_would_take_apart_is_quoted() -> None:
    hostile = record(dataclasses.replace(config.resolve("posemamba-xs"), data="motion:a b; rm -rf $HOME `x`"))
    (command,) = commands([hostile])
    assert "motion:a b; rm -rf $HOME `x`" in shlex.split(command)


def test_a_record_that_does_not_say_enough_has_no_command() -> None:
    assert commands([]) == []
    chosen = record(config.resolve("posemamba-xs"))
    assert commands([chosen])
    del chosen["config"]["detector"]
    assert commands([chosen]) == []
    unknown = evaluated()
    del unknown["weights"]
    assert commands([unknown]) == []


def evaluated(**changes: Any) -> dict[str, Any]:
    one = record(config.resolve("posemamba-xs", options={"depth": 2}, frames=9, flip_test=False, threads=1))
    one["config"] |= {"budget": None, "recipe": None, "learning_rate": None, "batch_size": None, **changes}
    one["weights"] = {"path": "somewhere/weights of it.pt", "sha256": "ab" * 32}
    one["signature"] = {"fields": {"space": "image"}}
    return one


def test_weights_from_elsewhere_are_scored_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = evaluated(root="subtracted", xy="predicted", precision="bf16", data_seed=2)
    request = asked(commands([one])[0], monkeypatch, tmp_path)
    assert (request.model, str(request.weights), request.run_id) == ("posemamba-xs", one["weights"]["path"], None)
    assert (request.frames, request.in_channels, request.data_seed) == (9, 3, 2)
    assert request.options == {name: str(value) for name, value in one["config"]["options"].items()}
    assert (request.root, request.flip_test, request.precision, request.space) == ("subtracted", False, "bf16", "image")
    assert (request.protocol, request.windows, request.device, request.threads) == ("all", "auto", "cpu", 1)


def test_weights_of_a_stored_run_are_named_by_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    one = evaluated()
    trained = {**record(config.resolve("posemamba-xs")), "id": "the-run", "weights": one["weights"]}
    other = {**trained, "id": "another", "weights": {"path": "x", "sha256": "cd" * 32}}
    request = asked(commands([one], [other, trained, one])[0], monkeypatch, tmp_path)
    assert (request.run_id, request.model, request.weights) == ("the-run", None, None)

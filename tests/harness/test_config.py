"""Resolving a run: what the user gave, then the recipe's, then the default."""

from __future__ import annotations

import pytest

from harness import config
from harness.errors import BadInput
from harness.training.budget import Budget


def test_defaults_come_from_the_common_recipe() -> None:
    resolved = config.resolve("posemamba-s", threads=1)
    assert (resolved.recipe, resolved.batch_size, resolved.frames, resolved.data) == ("common", 4, 27, "synthetic")
    assert resolved.budget == Budget(seconds=config.DEFAULT_MINUTES * 60)
    assert resolved.options == {"drop_path": 0.0}


def test_a_published_recipe_brings_its_own_values() -> None:
    resolved = config.resolve("posemamba-s", recipe_name="posemamba", threads=1)
    assert (resolved.batch_size, resolved.learning_rate, resolved.budget) == (4, 2e-4, Budget(epochs=120))
    assert resolved.options["drop_path"] == 0.2


def test_the_recipe_of_the_authors() -> None:
    assert config.resolve("mixste", recipe_name="published", threads=1).recipe == "mixste"
    for name in ("posemamba-xs", "tests.harness.test_contract:broken_factory"):
        with pytest.raises(BadInput, match=f"no published recipe for {name}; use --recipe common"):
            config.resolve(name, recipe_name="published", threads=1)


@pytest.mark.parametrize("option", ["drop_path", "drop_path_rate"])
def test_a_drop_path_given_as_the_published_one_is_kept(option: str) -> None:
    resolved = config.resolve("mixste", options={option: "0.1"}, threads=1)
    assert resolved.options == {"drop_path": 0.1}


def test_what_the_user_gave_wins() -> None:
    resolved = config.resolve(
        "posemamba-s", options={"drop_path": "0.3", "depth": "2"}, batch_size=3, learning_rate=1e-4,
        budget=Budget(steps=5), threads=1,
    )  # fmt: skip
    assert (resolved.batch_size, resolved.learning_rate, resolved.budget) == (3, 1e-4, Budget(steps=5))
    assert resolved.options == {"drop_path": 0.3, "depth": 2}


def test_the_same_run_has_the_same_id_however_it_was_written() -> None:
    one = config.resolve("posemamba-s", options={"depth": "2"}, threads=1)
    other = config.resolve("posemamba-s", options={"depth": 2}, threads=1, seed=0, frames=27)
    assert one.run_id() == other.run_id()
    assert one.run_id().startswith("posemamba-s-t27-s0-")
    assert one.run_id() != config.resolve("posemamba-s", options={"depth": 3}, threads=1).run_id()


def test_runs_in_float32_keep_the_ids_they_had_before_there_was_a_precision() -> None:
    plain, reduced = (config.RunConfig("posemamba-xs", precision=name) for name in ("fp32", "bf16"))
    assert plain == config.RunConfig("posemamba-xs")
    assert plain.digest() == "22bf1e9942bced2e65c93b79def9eca71fcca810bdcb4c42e4b80051ba795a18"
    assert plain.run_id() == "posemamba-xs-t27-s0-22bf1e99"
    assert len({one.run_id() for one in (plain, reduced, config.RunConfig("posemamba-xs", precision="fp16"))}) == 3
    assert (plain.as_dict()["precision"], reduced.as_dict()["precision"]) == ("fp32", "bf16")


def test_runs_that_keep_their_activations_have_the_ids_they_had_before_there_was_a_choice() -> None:
    plain, recomputing = (config.RunConfig("posemamba-xs", activation_checkpointing=on) for on in (False, True))
    assert plain == config.RunConfig("posemamba-xs")
    assert plain.run_id() == "posemamba-xs-t27-s0-22bf1e99"
    assert recomputing.run_id() != plain.run_id()
    assert [one.as_dict()["activation_checkpointing"] for one in (plain, recomputing)] == [False, True]


def test_an_id_is_a_safe_folder_name() -> None:
    run_id = config.RunConfig(model="../my pkg.mod:build/../x").run_id()
    assert "/" not in run_id
    assert ".." not in run_id


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"frames": 0}, "--frames 0 is out of range"),
        ({"batch_size": 0}, "--batch-size 0 is out of range"),
        ({"seed": -1}, "--seed -1 is out of range"),
        ({"threads": 0}, "--threads 0 is out of range"),
        ({"learning_rate": 0.0}, "--learning-rate 0.0 is out of range"),
        ({"learning_rate": float("nan")}, "--learning-rate nan is out of range"),
        ({"in_channels": 4}, "--in-channels 4"),
        ({"recipe_name": "comon"}, r"unknown recipe 'comon'\. Did you mean: common"),
        ({"device": "cuda"}, "no CUDA device on this machine; use --device cpu"),
        ({"device": "gpu9"}, "not a device"),
        ({"options": {"dephth": "3"}}, "no such option 'dephth'"),
        ({"precision": "bf61"}, r"--precision bf61: Did you mean: bf16, fp16\? One of: fp32, bf16, fp16"),
    ],
)
def test_what_is_out_of_range_is_named(given: dict[str, object], message: str) -> None:
    if given.get("device") == "cuda" and config.torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(BadInput, match=message):
        config.resolve("posemamba-s", **{"threads": 1, **given})


def test_a_budget_of_processor_time_is_for_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.devices, "resolve", lambda device: "cuda")
    with pytest.raises(BadInput, match="--core-minutes counts processor time"):
        config.resolve("posemamba-xs", budget=Budget(core_seconds=60.0))


def test_budgets_that_came_later_leave_older_runs_their_ids() -> None:
    assert "core_seconds" not in config.resolve("posemamba-xs", budget=Budget(steps=5)).as_dict()["budget"]
    budgets = (Budget(steps=5), Budget(core_seconds=5.0))
    assert len({config.resolve("posemamba-xs", budget=budget).run_id() for budget in budgets}) == 2

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from harness.data import builtin, synthetic
from harness.data.sequence import Dataset
from harness.data.take import Take
from harness.errors import BadInput
from tests.harness.data.figures import take


def generate(
    seed: int = 0, train_minutes: float = 1.0, test_minutes: float = 0.5, actions: Sequence[str] | None = None
) -> Iterator[Take]:
    yield take("A", clip=f"{seed}-{train_minutes}-{test_minutes}")
    yield take("B", part="test")


@pytest.fixture(autouse=True)
def generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "takes", generate, raising=False)


def load(argument: str) -> Dataset:
    return builtin.load(argument, detector="gt", seed=7, cache=None)


def test_options_reach_the_generator_typed() -> None:
    options = builtin.parse_options("train_minutes=2, seed=3,actions=Walk+Wave")
    assert options == {"train_minutes": 2.0, "seed": 3, "actions": ("Walk", "Wave")}
    dataset = load("train_minutes=2,seed=3")
    assert dataset.train[0].take == "A/Stand/3-2.0-0.5"
    assert dataset.notes == ("generated with train_minutes=2,seed=3",)


def test_the_noise_seed_does_not_change_the_people() -> None:
    dataset = load("")
    assert dataset.train[0].take == "A/Stand/0-1.0-0.5"
    assert (dataset.name, len(dataset.train), len(dataset.test)) == ("synthetic", 4, 4)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        (
            "train_minuets=2",
            r"no such option 'train_minuets'. Did you mean: train_minutes.* There are: seed \(int\), .*"
            r"actions \(names joined by \+\)",
        ),
        ("seed=three", "seed wants int, got 'three'"),
        ("train_minutes=", "train_minutes wants float, got ''"),
        ("seed", "option 'seed' should be given once, as seed=VALUE"),
        ("seed=1,seed=2", "should be given once"),
    ],
)
def test_options_that_cannot_be(argument: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        load(argument)

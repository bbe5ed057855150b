"""The recipes against what is known of them, and every model's own among them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness import models
from harness.errors import BadInput
from harness.training.loop import learning_rate
from harness.training.recipes import RECIPES, recipe


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_every_published_model_has_its_authors_recipe(name: str) -> None:
    entry = models.entry(name)
    if entry.recipe is None:
        return
    chosen = recipe(entry.recipe)
    assert chosen.epochs
    assert chosen.target_space == getattr(models.preset(name), "target_space", "camera")


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"unknown recipe 'mixst'\. Did you mean: mixste.*published"):
        recipe("mixst")


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("posemamba", [2e-4, 2e-4 * 0.99, 2e-4 * 0.99**2]),
        # MHFormer's main.py after epochs 1 to 6: x 0.95 four times, x 0.5 instead at the fifth, x 0.95.
        ("mhformer", [1e-3 * 0.95**n for n in range(5)] + [1e-3 * 0.95**4 * 0.5, 1e-3 * 0.95**5 * 0.5]),
        ("pstmo", [7e-4, 7e-4 * 0.97]),
    ],
)
def test_the_rate_of_the_first_epochs(name: str, rates: list[float]) -> None:
    got = [learning_rate(RECIPES[name], step=0, epoch=epoch, share=0.0) for epoch in range(len(rates))]
    assert got == pytest.approx(rates, rel=1e-12)


def test_the_second_large_decay() -> None:
    ten = learning_rate(RECIPES["stridedtransformer"], step=0, epoch=10, share=0.0)
    assert ten == pytest.approx(1e-3 * 0.95**8 * 0.5**2, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "answered", "stride"),
    [("posemamba", 243, 81), ("mixste", 81, 81), ("stcformer", 243, 3), ("pstmo", 1, 1), ("martinez", 27, 1)],
)
def test_frames_between_clips(name: str, answered: int, stride: int) -> None:
    assert RECIPES[name].clip_stride(answered) == stride


def test_a_stride_is_at_least_one_frame() -> None:
    assert replace(RECIPES["common"], stride=0.01).clip_stride(9) == 1

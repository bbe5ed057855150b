"""The ledger: provenance, blocks counted by hand, agreement with torch's counter, seconds by a fake clock."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from baselines.attention import SelfAttention
from baselines.metaformer import MetaFormerBlock
from harness import models
from harness.measurement import ledger
from harness.measurement.kind import KINDS
from harness.measurement.ledger import Ledger
from posemamba.block import SpatioTemporalBlock
from posemamba.config import PoseMambaConfig
from tests.harness.test_every_lifter import FRAMES, NAMES, TINY

T, J, C = 5, 17, 8


class OneFunction(nn.Module):
    """A lifter that is ``function`` of the clip (B, T, J, C)."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, clip: Tensor) -> Tensor:
        return self.function(clip)


def of_function(function: Callable[[Tensor], Tensor], training: bool = False) -> Ledger:
    return ledger.of_model(OneFunction(function), T, C, training=training)


def kinds(found: Ledger, figure: str = "flops") -> dict[str, int]:
    """The kinds that have any."""
    return {kind: getattr(entry, figure) for kind, entry in found.by_kind().items() if getattr(entry, figure)}


def tiny(name: str, frames: int = FRAMES, **options: Any) -> nn.Module:
    return models.build(name, frames, 2, **{**TINY[models.entry(name).module], **options})


# ---- whole blocks by hand ----


def test_a_block_of_posemamba_by_hand() -> None:
    """B = 1; L tokens, C channels, D inside, K scans, N states, R rank of the step, M in the MLP."""
    config = PoseMambaConfig(dim=32, state_dim=4, mlp_ratio=3.0)
    block = SpatioTemporalBlock(config, drop_path=0.1)
    frames, L, C, D, K, N, R, M = 6, 6 * J, 32, 64, 4, 4, 2, 96
    assert (config.inner_dim, config.step_rank, config.mlp_dim, len(config.directions)) == (D, R, M, K)
    found = ledger.of_model(block, frames, C)

    layer_norm = L * (7 * C + 3)  # 5 C + 3 a row, weight, bias
    inner_norm = L * (7 * D + 3)
    projection = (
        2 * L * C * 2 * D  # features and gate
        + 2 * K * L * D * (R + 2 * N)  # what u decides: R, B, C
        + 2 * K * L * R * D  # the step
        + 2 * L * D * C  # back to C channels
        + 2 * 2 * L * C * M  # the MLP
    )
    scan = 7 * K * D * L * N + K * D * L * (1 + 1 + 3 + 2)  # states; dt u, bias, softplus, skip
    elementwise = (
        5 * D * L  # SiLU of the plane
        + D * L  # each joint's limb added
        + 2 * K * D * N  # A = -exp(A_log)
        + (K - 1) * D * L  # the scans added up
        + 5 * D * L  # SiLU of the gate
        + D * L  # times the gate
        + 5 * L * M  # GELU
        + 2 * L * C  # two shortcuts
    )
    assert kinds(found) == {
        "projection": projection,
        "scan": scan,
        "convolution": 2 * 9 * D * L,
        "normalisation": 2 * layer_norm + inner_norm,
        "elementwise": elementwise,
    }
    transcendentals = K * D * L * (N + 2) + D * L + K * D * N + D * L + L * M
    assert found.total.transcendentals == transcendentals
    assert found.total.torch_flops == projection + 2 * 9 * D * L + 2 * K * D * L * (3 * N + 1)
    assert not found.uncounted


@pytest.mark.parametrize("form", ["sdpa", "explicit"])
def test_a_block_of_a_transformer_by_hand(form: Any) -> None:
    """F frames of L = 17 tokens that attend to one another, C channels, H heads of E channels, M in the MLP."""
    frames, L, C, H, E, M = 6, J, 32, 4, 8, 64
    mixer = SelfAttention(C, H, qkv_bias=True, form=form)
    found = ledger.of_model(MetaFormerBlock(C, mixer, mlp_ratio=2.0, drop_path=0.1), frames, C)

    tokens, pairs = frames * L, frames * H * L * L
    scale = pairs
    softmax = frames * H * L * (5 * L - 2)
    explicit = form == "explicit"
    assert kinds(found) == {
        "projection": 2 * tokens * (3 * C * C + C * C + 2 * C * M),
        "attention": pairs * 4 * E + softmax + scale * (not explicit),
        "normalisation": 2 * tokens * (7 * C + 3),
        "elementwise": 5 * tokens * M + 2 * tokens * C + scale * explicit,
    }
    assert found.total.transcendentals == pairs + tokens * M
    assert kinds(found, "torch_flops") == {
        "projection": 2 * tokens * (4 * C * C + 2 * C * M),
        "attention": pairs * 4 * E,
    }


def test_a_training_step_of_a_block_by_hand() -> None:
    """Backward the products cost twice, once for each factor; the clip needs no gradient, but the first norm does."""
    frames, L, C, H, E, M = 6, J, 32, 4, 8, 64
    block = MetaFormerBlock(C, SelfAttention(C, H, form="explicit"), mlp_ratio=2.0)
    found = ledger.of_model(block, frames, C, training=True)
    tokens, pairs = frames * L, frames * H * L * L
    assert kinds(found, "torch_flops") == {
        "projection": 3 * 2 * tokens * (4 * C * C + 2 * C * M),
        "attention": 3 * pairs * 4 * E,
    }
    softmaxes = frames * H * L * (5 * L - 2 + 4 * L - 1)
    assert kinds(found)["attention"] == 3 * pairs * 4 * E + softmaxes


def test_a_first_layer_has_no_gradient_to_the_clip() -> None:
    found = ledger.of_model(nn.Linear(C, 3), T, C, training=True)
    assert kinds(found, "torch_flops") == {"projection": 2 * 2 * T * J * C * 3}


# ---- kinds ----

FIXED = torch.ones(J, J)


def written_into_a_buffer(clip: Tensor) -> Tensor:
    """The view is older than what is written."""
    buffer = torch.zeros(clip.shape)
    view = buffer.transpose(-1, -2)
    buffer[..., :4].copy_(clip[..., :4])
    return clip @ view


def with_an_out_argument(clip: Tensor) -> Tensor:
    doubled = torch.empty(clip.shape)
    torch.mul(clip, 2, out=doubled)
    return doubled @ clip.mT


def written_to_without_being_returned(clip: Tensor) -> Tensor:
    buffer = torch.zeros(clip.shape)
    torch._foreach_add_([buffer], [clip])
    return buffer @ clip.mT


def by_a_second_output(clip: Tensor) -> Tensor:
    _, indices = clip.sort(dim=-1)
    return clip @ indices.to(clip.dtype).mT


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda clip: clip @ clip.mT, "attention"),
        (lambda clip: FIXED @ clip, "projection"),
        (lambda clip: (FIXED @ FIXED).expand(1, T, J, J) @ clip, "projection"),
        (lambda clip: (clip @ clip.mT > 0).to(clip.dtype) @ clip, "attention"),  # a graph that the clip decides
        (lambda clip: torch.cat([clip, clip])[:1] @ clip.mT, "attention"),
        (lambda clip: torch.zeros_like(clip) @ clip.mT, "projection"),
        (lambda clip: torch.zeros(clip.shape).add_(clip) @ clip.mT, "attention"),
        (written_into_a_buffer, "attention"),
        (with_an_out_argument, "attention"),
        (written_to_without_being_returned, "attention"),
        (by_a_second_output, "attention"),
        (lambda clip: torch.stack(clip.unbind(1), 1) @ clip.mT, "attention"),
    ],
)
def test_the_kind_of_a_product(function: Callable[[Tensor], Tensor], kind: str) -> None:
    found = of_function(function)
    products = {entry.kind for entry in found.entries if entry.operator == "aten::bmm"}
    assert products == {kind}


def test_storage_that_is_used_again_forgets_the_clip() -> None:
    """Many short-lived tensors of the clip, then fixed ones that come to lie at the same addresses."""
    clip = torch.ones(4, 4)
    with torch.no_grad(), Ledger(clip) as found:
        for _ in range(50):
            (clip + 1).mul_(2)
        for _ in range(50):
            clip @ torch.ones(4, 4)
    assert found.by_kind()["attention"].calls == 0


def test_backward_products_have_the_kind_of_the_forward_one() -> None:
    """The gradient of a weight is a product of two tensors of the clip, and still a projection's."""

    class Two(nn.Linear):
        def forward(self, clip: Tensor) -> Tensor:
            features = super().forward(clip)
            return features @ features.mT

    found = ledger.of_model(Two(C, 6), T, C, training=True)
    assert kinds(found, "torch_flops") == {
        "projection": 2 * 2 * T * J * C * 6,
        "attention": 3 * 2 * T * J * J * 6,
    }


# ---- figures ----


def test_bytes_are_each_tensor_once() -> None:
    n = T * J * C * 4
    assert of_function(lambda clip: clip + clip).total.bytes == 2 * n
    assert of_function(lambda clip: clip + torch.ones(C).expand(1, T, J, C)).total.bytes == 2 * n + C * 4 + C * 4
    assert of_function(lambda clip: clip.transpose(1, 2)).total.bytes == 0
    assert of_function(lambda clip: clip.transpose(1, 2).contiguous()).total.bytes == 2 * n
    assert of_function(lambda clip: clip.mul_(2)).total.bytes == 2 * n
    assert of_function(lambda clip: clip.zero_()).total.bytes == n
    assert of_function(lambda clip: torch.empty(clip.shape).copy_(clip)).total.bytes == 2 * n


def test_totals_are_sums() -> None:
    found = ledger.of_model(tiny("motionagformer-xs"), FRAMES, 2)
    assert list(found.by_kind()) == list(KINDS)
    for parts in (found.entries, list(found.by_kind().values()), list(found.by_operator().values())):
        for figure in ("calls", "flops", "transcendentals", "torch_flops", "bytes"):
            assert sum(getattr(part, figure) for part in parts) == getattr(found.total, figure) > 0
    assert found.by_operator()["aten::bmm"].kind == "all"
    assert found.by_operator()["aten::gelu"].kind == "elementwise"


def run(model: nn.Module, clips: Tensor, training: bool) -> Tensor:
    with torch.set_grad_enabled(training):
        output = model.train(training)(clips)
        if training:
            output.square().sum().backward()
    return output


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [False, True])
def test_every_lifter_is_counted_whole_and_as_torch_counts_it(name: str, training: bool) -> None:
    """Two clips, for the batch norms; a count without numbers is what it is with them."""
    model, clips = tiny(name), torch.zeros(2, FRAMES, 17, 2)
    found = ledger.of_model(model, FRAMES, 2, batch=2, training=training)
    assert found.counted_on == "tensors without numbers"
    assert found.without_formula == []

    with FlopCounterMode(display=False, custom_mapping=dict(ledger.TORCH_FORMULAS)) as counter:
        output = run(copy.deepcopy(model), clips, training)
    assert counter.get_total_flops() == found.total.torch_flops > 0
    assert found.output_shape == tuple(output.shape)

    with Ledger(clips) as real:
        run(model, clips, training)
    figures = ("flops", "transcendentals", "torch_flops") + ("calls", "bytes") * (not training)
    for figure in figures:  # autograd copies a gradient or not by who else holds it, which takes calls and bytes
        assert kinds(real, figure) == kinds(found, figure)


@pytest.mark.parametrize("training", [True, False])
def test_the_count_does_not_depend_on_the_scan_backend(training: bool) -> None:
    backends = ("auto", "reference", "chunked", "mamba-ssm")
    found = [
        ledger.of_model(tiny("posemamba-xs", scan_backend=backend), FRAMES, 2, training=training).entries
        for backend in backends
    ]
    assert all(entries == found[0] for entries in found)
    assert sum(entry.flops for entry in found[0] if entry.kind == "scan") > 0


def test_a_timed_scan_is_one_operator_whatever_computes_it() -> None:
    clips = torch.zeros(1, FRAMES, 17, 2)
    found = [
        ledger.timed(tiny("posemamba-xs", scan_backend=backend), clips, clock=lambda: 0.0).entries
        for backend in ("reference", "chunked")
    ]
    assert found[0] == found[1]


def test_posemamba_is_linear_in_the_frames() -> None:
    """Up to A = -exp(A_log), which is of weights alone."""
    once, twice = (kinds(ledger.of_model(tiny("posemamba-xs", t), t, 2)) for t in (40, 80))
    rates = sum(value.numel() for name, value in tiny("posemamba-xs").named_parameters() if "A_log" in name)
    assert rates > 0
    expected = {kind: 2 * flops for kind, flops in once.items()}
    expected["elementwise"] -= 2 * rates
    assert twice == expected
    assert "attention" not in twice


def test_attention_is_quadratic_in_the_frames() -> None:
    def global_attention(frames: int) -> int:
        def attend(clip: Tensor) -> Tensor:
            over_time = clip.transpose(1, 2)  # (B, J, T, C)
            return F.scaled_dot_product_attention(over_time, over_time, over_time).transpose(1, 2)

        return ledger.of_model(OneFunction(attend), frames, C).by_kind()["attention"].torch_flops

    assert global_attention(80) == 4 * global_attention(40)
    temporal = [ledger.of_model(tiny("mixste", t), t, 2).by_kind()["attention"].torch_flops for t in (100, 200)]
    assert 2 < temporal[1] / temporal[0] < 4


def test_ten_thousand_frames_need_no_memory() -> None:
    """The tensors alone would be gigabytes."""
    with torch.device("meta"):
        model = models.build("posemamba-s", 10_000, 2)
    short = ledger.of_model(model, 10, 2).by_kind()["scan"].flops
    assert ledger.of_model(model, 10_000, 2).by_kind()["scan"].flops == 1000 * short


# ---- manners ----


class Undecided(nn.Linear):
    """Its course depends on its numbers."""

    def forward(self, clip: Tensor) -> Tensor:
        return super().forward(clip) if float(clip.sum()) == 0 else clip


def test_a_model_that_looks_at_its_numbers_is_run_on_some() -> None:
    found = ledger.of_model(Undecided(C, 3), T, C)
    assert found.counted_on.startswith("real tensors, because without numbers: ")
    assert kinds(found)["projection"] == 2 * T * J * C * 3


def test_a_model_that_refuses_the_clip_is_heard() -> None:
    with pytest.raises(ValueError, match="2 channels"):
        ledger.of_model(tiny("posemamba-xs"), FRAMES, 3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["martinez-original", "posemamba-xs"])
def test_the_model_is_left_as_it_was(name: str, training: bool) -> None:
    model = tiny(name).train(not training)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    identities = [id(parameter) for parameter in model.parameters()]
    ledger.of_model(model, FRAMES, 2, batch=2, training=training)
    ledger.timed(model, torch.zeros(1, FRAMES, 17, 2), clock=lambda: 0.0)
    assert model.training is not training
    assert all(module.training is not training for module in model.modules())
    assert [id(parameter) for parameter in model.parameters()] == identities
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_encoder_of_torch_is_seen_through() -> None:
    """Attention over T tokens for 17 joints; its evaluation would otherwise be one opaque operator."""

    class Temporal(nn.TransformerEncoderLayer):
        def forward(self, clip: Tensor) -> Tensor:  # type: ignore[override]
            return super().forward(clip[0].transpose(0, 1)).transpose(0, 1)[None]  # (B, T, J, C)

    found = ledger.of_model(Temporal(C, 2, dim_feedforward=32, batch_first=True), T, C)
    assert kinds(found, "torch_flops") == {
        "projection": 2 * T * J * (4 * C * C + 2 * C * 32),
        "attention": 2 * J * 2 * T * T * C,
    }
    assert found.without_formula == []


def test_what_torch_does_not_count_is_listed() -> None:
    found = of_function(lambda clip: clip.sin().topk(3).values @ torch.ones(3, 3))
    assert found.uncounted_by_torch == {"aten::sin (no formula)": 1, "aten::topk (selection)": 1}


# ---- seconds ----


class SlowOperators:
    """A clock that each operator moves on: its reading after one is later by ``seconds`` of that operator."""

    def __init__(self, seconds: Iterator[float]) -> None:
        self.now_s, self.seconds, self.readings = 50.0, seconds, 0
        self.events: list[str] = []

    def synchronise(self) -> None:
        self.events.append("synchronise")

    def __call__(self) -> float:
        self.readings += 1
        if self.readings % 2 == 0:
            self.now_s += next(self.seconds)
        self.events.append("read")
        return self.now_s


def test_seconds_go_to_the_operators_kind() -> None:
    """A linear layer, an attention's two products with a softmax between them, a convolution: 1, 2 + 4 + 8, 16 s."""

    class Several(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.convolution = nn.Linear(C, C), nn.Conv2d(T, T, 1)

        def forward(self, clip: Tensor) -> Tensor:
            features = self.linear(clip)
            return self.convolution((features @ features.mT).softmax(-1) @ features)

    clock = SlowOperators(float(2**index) for index in count())
    found = ledger.timed(Several(), torch.zeros(1, T, J, C), clock=clock, synchronise=clock.synchronise)
    assert kinds(found, "seconds") == {"projection": 1.0, "attention": 2.0 + 4.0 + 8.0, "convolution": 16.0}
    assert found.total.seconds == 31.0
    assert clock.events == ["synchronise", "read"] * 10
    assert found.counted_on == "real tensors on cpu"


def test_the_timed_forward_is_the_second() -> None:
    calls: list[int] = []

    def forward(clip: Tensor) -> Tensor:
        calls.append(1)
        return clip * 2 if len(calls) == 2 else clip

    assert ledger.timed(OneFunction(forward), torch.zeros(1, T, J, C), clock=lambda: 0.0).total.calls == 1
    assert len(calls) == 2

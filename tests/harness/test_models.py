"""The registry: what it builds, and what it says to a wrong name or option."""

from __future__ import annotations

import importlib
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness import models
from harness.errors import BadInput
from tests.goldens import synth


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_every_preset_builds(name: str) -> None:
    with torch.device("meta"):
        model = models.build(name, frames=9, in_channels=3)
    assert (model.config.frames, model.config.in_channels) == (9, 3)


def test_posemamba_alone_is_s() -> None:
    assert models.preset("posemamba") == models.preset("posemamba-s")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("posemamba-s", 1_470_211),
        ("posemamba-b", 4_742_659),
        ("posemamba-l", 9_450_499),
        ("posemamba-x", 33_318_915),
        ("motionagformer-xs", 2_241_531),
        ("motionagformer-s", 4_817_119),
        ("motionagformer-b", 11_723_811),
        ("motionagformer-l", 19_007_111),
    ],
)
def test_published_sizes_have_the_authors_parameter_counts(name: str, parameters: int) -> None:
    with torch.device("meta"):
        model = models.build(name)
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_the_authors_option_names_as_text() -> None:
    assert models.configure("pstmo", 9, 2, {"channel": "16", "d_hid": "24"}).dim == 16


def test_options_reach_the_model() -> None:
    model = models.build("posemamba-xs", frames=5, in_channels=2, depth="1", dim=16)
    assert (model.config.depth, model.config.dim) == (1, 16)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("posemaba", {}, r"Unknown model 'posemaba'\. Did you mean: posemamba.*All: harness list models"),
        ("posemamba-s", {"dephth": "8"}, r"no such option 'dephth' for posemamba-s\. Did you mean: depth"),
        ("posemamba-s", {"depth": "eight"}, r"posemamba-s: option depth wants an int, got 'eight'"),
        ("posemamba-s", {"depth": "-1"}, r"posemamba-s: depth must be .* at least 1"),
        ("posemamba-s", {"limb_order": "kinematik"}, r"unknown limb_order 'kinematik'\. Did you mean: kinematic"),
        ("nopkg.x:Y", {}, r"Cannot import 'nopkg\.x': No module named 'nopkg'\. Expected 'package\.module:attribute'"),
        ("math:nothing", {}, r"'nothing' is not in math"),
        ("math:pi", {}, r"'pi' is not callable"),
    ],
)
def test_what_cannot_be_built_is_named(name: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        models.build(name, frames=9, in_channels=2, **options)


class ThirdParty(nn.Module):
    def __init__(self, frames: int, in_channels: int, width: int = 8) -> None:
        super().__init__()
        self.layer = nn.Linear(in_channels, 3)
        self.width = width

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.layer(clips)


def test_frames_given_twice() -> None:
    with pytest.raises(BadInput, match="posemamba-xs: frames is given twice, as 27 and by the authors' options as 9"):
        models.build("posemamba-xs", frames=27, num_frame=9)
    assert models.build("posemamba-xs", frames=9, num_frame=9).config.frames == 9


def test_a_third_party_s_model_needs_no_entry() -> None:
    model = models.build(f"{__name__}:ThirdParty", frames=9, in_channels=2, width="12")
    assert isinstance(model, ThirdParty)
    assert model.width == 12


def test_a_third_party_s_factory_that_fails() -> None:
    with pytest.raises(BadInput, match="unexpected keyword argument 'wdth'"):
        models.build(f"{__name__}:ThirdParty", frames=9, in_channels=2, wdth="12")


def test_listing_needs_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from harness.cli import main; main(['list', 'models'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    assert done.returncode == 0, done.stderr
    assert "motionagformer-xs" in done.stdout


def test_the_scan_backend_is_named() -> None:
    assert models.scan_backend(models.build("posemamba-xs", 3, 2), "cpu") in ("native", "chunked")
    assert models.scan_backend(models.build("posemamba-xs", 3, 2, scan_backend="reference"), "cpu") == "reference"
    for name in ("posemagic-xs", "mamba3d-lift-xs", "pointabm-lift-xs"):
        assert models.scan_backend(models.build(name, 3, 2), "cpu") in ("native", "chunked")
    assert models.scan_backend(models.build("mamba3d-xs"), "cpu") in ("native", "chunked")
    assert models.scan_backend(models.build("motionagformer-xs", 3, 2), "cpu") is None


GOLDENS = sorted((Path(__file__).parents[1] / "goldens").glob("*.json"))
#: Registered names by the goldens' first word, where they differ.
NAMES = {"dstformer": "motionbert", "motionagformer": "motionagformer-xs", "posemamba": "posemamba-s"}
CLIP_OPTIONS = ("frames", "num_frame", "n_frames", "maxlen", "in_chans", "dim_in", "in_features")


def clip_of(authors: dict[str, Any]) -> tuple[int | None, int | None]:
    """T that the golden's model was built for, and its channels; single-frame models have no T, classifiers neither."""
    given = authors["config"]
    if "filter_widths" in given:
        return math.prod(given["filter_widths"]), authors["in_channels"]
    frames = next((given[key] for key in ("frames", "num_frame", "n_frames", "maxlen") if key in given), None)
    return frames, authors.get("in_channels")


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("path", GOLDENS, ids=lambda path: path.stem)
def test_the_authors_option_names_are_understood(path: Path, as_text: bool) -> None:
    authors = synth.load(path)
    family = path.stem.partition("-")[0]
    name = NAMES.get(family, family)
    module = importlib.import_module(models.module_of(name))
    frames, in_channels = clip_of(authors)
    theirs = {key: value for key, value in authors["config"].items() if key not in CLIP_OPTIONS}
    if as_text:
        theirs = {key: str(value).strip("[]") for key, value in theirs.items()}
    wanted, got = module.official_config(authors["config"]), models.configure(name, frames, in_channels, theirs)
    # Filter widths that follow from T are None in one and spelled out in the other.
    decided = {field for field in module.OFFICIAL_OPTIONS.values() if field} - {"filter_widths"}
    assert {field: getattr(got, field) for field in decided} == {field: getattr(wanted, field) for field in decided}


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("videopose3d", {"channels": "16"}, {"dim": 16}),
        ("martinez", {"linear_size": 512, "p_dropout": "0.3"}, {"dim": 512, "dropout": 0.3}),
        ("pstmo", {"stride_num": "1,3,3", "frames": 9}, {"strides": (1, 3, 3), "frames": 9}),
        ("stridedtransformer", {"dim": 64, "d_hid": 64}, {"dim": 64, "mlp_ratio": 1.0}),
        ("stridedtransformer", {"channel": 128}, {"dim": 128, "mlp_ratio": 4.0}),
        ("mixste", {"embed_dim_ratio": 64, "dim": 64}, {"dim": 64}),
    ],
)
def test_authors_options_beside_what_else_is_given(
    name: str, given: dict[str, Any], expected: dict[str, object]
) -> None:
    config = models.configure(name, given.pop("frames", None), None, given)
    assert {field: getattr(config, field) for field in expected} == expected


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("mixste", {"embed_dim_ratio": 64, "dim": 32}, "dim is given twice, as 32 and by the authors' options as 64"),
        ("pstmo", {"stride_num": "3"}, "pstmo: "),
        ("poseformer", {"drop_path_rate": "none"}, "poseformer: "),
    ],
)
def test_authors_options_that_cannot_be(name: str, given: dict[str, object], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        models.configure(name, 9, 2, given)


def test_an_authors_option_and_ours_together() -> None:
    config = models.build("motionagformer-xs", frames=9, in_channels=2, n_layers=1, dim=16, num_heads=2).config
    assert (config.depth, config.dim, config.heads, config.frames) == (1, 16, 2, 9)


@pytest.mark.parametrize(("frames", "in_channels", "words"), [(0, 3, "frames 0"), (27, 0, "in_channels 0")])
def test_a_third_partys_lifter_is_not_built_for_nothing(frames: int, in_channels: int, words: str) -> None:
    """0 is not None: it was read as left out."""
    with pytest.raises(BadInput, match=f"{words} is out of range"):
        models.build("tests.harness.measurement.lifters:sound", frames, in_channels)


def test_the_module_that_a_lifter_is_in() -> None:
    assert models.module_of("posemamba-xs") == "posemamba"
    assert models.module_of("package.module:build") == "package.module"
    with pytest.raises(BadInput, match="Did you mean: mixste"):
        models.module_of("mixte")


@pytest.mark.parametrize("name", models.CLASSIFIERS)
def test_classifiers_are_as_listed(name: str) -> None:
    entry, config = models.classifier(name), models.preset(name)
    assert (entry.points[0], config.task) == (config.points, "classification")
    assert sum(p.numel() for p in models.build(name).parameters()) == entry.parameters


def test_classifiers_are_no_lifters() -> None:
    for wrong in (lambda: models.entry("mamba3d"), lambda: models.build("mamba3d", frames=9)):
        with pytest.raises(BadInput, match="harness classify --model mamba3d"):
            wrong()
    with pytest.raises(BadInput, match="harness run --model posemamba-xs"):
        models.classifier("posemamba-xs")
    with pytest.raises(BadInput, match="Did you mean: pointabm"):
        models.classifier("pointbam")


def test_what_is_a_reading_says_so() -> None:
    assert "expansion" in models.reading("posemagic-causal")
    assert models.reading("mixste") == {}


def test_a_module_of_any_name_that_python_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my-lifters").mkdir()
    (tmp_path / "my-lifters" / "2nd.py").write_text("from tests.harness.test_models import ThirdParty as build\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert type(models.build("my-lifters.2nd:build", frames=9, in_channels=2)).__name__ == "ThirdParty"


@pytest.mark.parametrize("module", ["", ".lifters", "lifters.", "my..lifters", "my/lifters", "../lifters"])
def test_what_is_no_name_of_a_module(module: str) -> None:
    with pytest.raises(BadInput, match="is no name of a module"):
        models.build(f"{module}:build", frames=9, in_channels=2)

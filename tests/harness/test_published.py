"""What others published: the data file is whole, names its sources, and says what is known to be wrong in it."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness import models, published
from harness.errors import BadInput
from harness.published import Figure, Row

ROWS = published.load()
TEXT = resources.files("harness").joinpath(published.FILE).read_text(encoding="utf-8")

#: Registered models that have published figures.
LINKED = (
    "posemamba-s", "posemamba-b", "posemamba-l", "posemamba-x", "motionagformer-xs", "motionagformer-s",
    "motionagformer-b", "motionagformer-l", "motionbert", "mixste", "stcformer", "stcformer-l", "poseformer",
    "poseformerv2", "mhformer", "stridedtransformer", "pstmo", "ktpformer", "tcpformer", "videopose3d",
    "videopose3d-causal", "martinez",
)  # fmt: skip

Setting = tuple[str, int, tuple[int, ...]]

#: (model, T, options) -> G of thop, run on the authors' code with a batch of one; PoseMamba-L and -X on ours.
THOP_MACS: dict[Setting, float] = {
    ("posemamba-s", 243, ()): 3.587426496,
    ("posemamba-b", 243, ()): 13.943083392,
    ("posemamba-l", 243, ()): 27.881,
    ("posemamba-x", 243, ()): 109.909,
    ("posemamba-s", 243, (6, 64)): 2.152,
    ("posemamba-s", 243, (8, 64)): 2.870,
    ("posemamba-s", 243, (12, 64)): 4.305,
    ("posemamba-s", 243, (16, 64)): 5.740,
    ("posemamba-s", 243, (20, 64)): 7.174,
    ("posemamba-s", 243, (24, 64)): 8.609,
    ("posemamba-s", 243, (20, 32)): 1.897,
    ("posemamba-s", 243, (6, 256)): 32.98,
    ("motionagformer-xs", 27, ()): 1.024,
    ("motionagformer-s", 81, ()): 6.601,
    ("motionagformer-b", 243, ()): 48.301,
    ("motionagformer-b", 81, ()): 16.100,
    ("motionagformer-l", 243, ()): 78.314,
    ("motionagformer-l", 81, ()): 26.105,
    ("motionbert", 243, ()): 174.751,
    ("mixste", 27, ()): 15.449,
    ("mixste", 81, ()): 46.346,
    ("mixste", 243, ()): 139.038,
    ("stcformer", 27, ()): 2.178,
    ("stcformer", 81, ()): 6.535,
    ("stcformer", 243, ()): 19.606,
    ("stcformer-l", 243, ()): 78.196,
    ("mhformer", 27, ()): 0.517,
    ("mhformer", 81, ()): 1.566,
    ("mhformer", 243, ()): 4.827,
    ("mhformer", 351, ()): 7.096,
    ("pstmo", 27, (3,)): 0.081639,
    ("pstmo", 81, (3,)): 0.246,
    ("pstmo", 243, (3,)): 0.741,
    ("pstmo", 243, (4,)): 0.868,
    ("poseformerv2", 27, (1, 3)): 0.038653,
    ("poseformerv2", 81, (1, 3)): 0.038653,
    ("poseformerv2", 27, (3, 3)): 0.058789,
    ("poseformerv2", 81, (3, 3)): 0.058789,
    ("poseformerv2", 81, (9, 9)): 0.176,
    ("poseformerv2", 243, (27, 27)): 0.529,
    ("ktpformer", 243, ()): 139.060,
    ("tcpformer", 243, ()): 109.215,
}
TIMES_THOP = {
    "thop MACs": 1.0, "2 x thop MACs": 2.0, "half the thop MACs": 0.5, "MACs by thop 0.0.31": 1.0,
    "2 x MACs by thop 0.0.31": 2.0, "half the MACs by thop 0.0.31": 0.5, "2 x MACs by ptflops 0.6.9": 2.0,
}  # fmt: skip


def setting(row: Row) -> Setting:
    assert row.model is not None
    assert row.frames is not None
    return row.model, row.frames, tuple(row.options.values())


def described(row: Row) -> str:
    return f"{row.system}, T={row.frames}, {row.data}, {row.keypoints}, {row.source.key}, {row.where}"


def rounding(printed: float) -> float:
    """Half a unit of the last printed digit."""
    decimals = len(f"{printed}".partition(".")[2])
    return float(0.5 * 10.0**-decimals)


def linked(metric: str, *conventions: str) -> list[tuple[Row, Figure]]:
    found = [(row, figure) for row in ROWS if row.model for figure in row.figures]
    return [(row, figure) for row, figure in found if figure.metric == metric and figure.convention in conventions]


def value(metric: str, model: str, source: str, **where: Any) -> float:
    """The one figure of ``metric`` that ``source`` has for ``model`` where the row's fields are ``where``."""
    found = [
        figure.value
        for row in published.of(model)
        if row.source.key == source and all(getattr(row, name) == wanted for name, wanted in where.items())
        if (figure := row.figure(metric)) is not None
    ]
    assert len(found) == 1
    return found[0]


def test_no_setting_of_a_source_is_given_twice() -> None:
    settings = [(described(row), *sorted(row.options.items())) for row in ROWS]
    assert len(settings) == len(set(settings))


def test_every_source_can_be_found_by_a_stranger() -> None:
    sources = {row.source.key: row.source for row in ROWS}
    unpinned = set()
    for source in sources.values():
        assert source.title
        assert source.venue
        if source.url is None:
            assert "Table" not in source.title
            continue
        assert re.fullmatch(r"https://[^\s]+", source.url), source
        is_file = "github.com" in source.url and "/issues/" not in source.url
        commit = re.search(r"/blob/([0-9a-f]{40})/", source.url)
        if is_file and not (commit and commit[1] in source.venue):
            unpinned.add(source.key)
    assert unpinned == set()
    assert {source.key for source in sources.values() if source.url is None} == {"hstgformer"}


def test_what_a_source_is_agrees_with_who_speaks() -> None:
    for row in ROWS:
        if row.kind == "repository":
            assert row.source.url is not None
            assert re.search(r"github\.com|modelscope\.cn", row.source.url), described(row)
        if row.kind == "paper":
            assert row.source.url is None or "github.com" not in row.source.url, described(row)


def test_every_model_is_registered_and_every_expected_one_has_rows() -> None:
    assert {row.model for row in ROWS} == {*LINKED, None}
    assert set(LINKED) <= set(models.MODELS)
    assert published.of("motionbert-lite") == published.of("no-such-model") == ()


@pytest.mark.parametrize("name", LINKED)
def test_a_model_takes_the_options_of_its_rows(name: str) -> None:
    for row in published.of(name):
        models.configure(name, frames=row.frames, overrides=row.options)


def test_systems_that_we_do_not_have_carry_none_of_our_options() -> None:
    assert [described(row) for row in ROWS if row.model is None and row.options] == []


def test_a_row_answers_as_its_model_does() -> None:
    # MHFormer gives every frame; its authors score, and its figures are of, the centre one.
    other = {row.model for row in ROWS if row.model and row.answers != models.MODELS[row.model].answers}
    assert other == {"mhformer"}


def parameters(model: nn.Module, convention: str | None) -> float:
    """Millions of parameters, of all or of the layers that thop knows."""
    if convention == "all parameters":
        return sum(p.numel() for p in model.parameters()) / 1e6
    layers = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.LayerNorm, nn.BatchNorm1d)
    held = (p for module in model.modules() if isinstance(module, layers) for p in module.parameters(recurse=False))
    return sum(p.numel() for p in held) / 1e6


@pytest.mark.parametrize("name", sorted({*LINKED} - {"stcformer-l", "poseformer", "videopose3d-causal", "martinez"}))
def test_a_printed_count_of_parameters_follows_its_convention(name: str) -> None:
    found = [pair for pair in linked("parameters", "all parameters", "thop parameters") if pair[0].model == name]
    assert found
    for row, figure in found:
        with torch.device("meta"):
            model = models.build(name, frames=row.frames, **row.options)
        counted = parameters(model, figure.convention)
        assert abs(counted - figure.value) <= max(rounding(figure.value), 0.01 * counted), described(row)


def test_a_printed_count_of_operations_follows_its_convention() -> None:
    checked = linked("compute", *TIMES_THOP)
    assert {setting(row) for row, _ in checked} == set(THOP_MACS)
    for row, figure in checked:
        expected = THOP_MACS[setting(row)] * TIMES_THOP[str(figure.convention)]
        assert abs(figure.value - expected) <= max(rounding(figure.value), 0.01 * expected), described(row)


def test_a_count_for_one_output_frame_is_the_clips_share() -> None:
    for row, figure in linked("compute per output frame", *TIMES_THOP):
        clip = row.figure("compute")
        assert clip is not None
        assert row.frames is not None
        answered = row.frames if row.answers == "every" else 1
        share, slack = 1e3 * clip.value / answered, 1e3 * rounding(clip.value) / answered
        # Some authors cut the last digit instead of rounding it.
        assert abs(figure.value - share) <= slack + 2 * rounding(figure.value), described(row)


@pytest.mark.parametrize(
    ("expected", "metric", "model", "source", "where"),
    [
        (41.8, "MPJPE", "posemamba-s", "posemamba", {"keypoints": "SH", "options": {}}),
        (35.0, "P-MPJPE", "posemamba-s", "posemamba", {"keypoints": "SH", "options": {}}),
        (0.860, "parameters", "posemamba-s", "posemamba", {"options": {}}),
        (3.587, "compute", "posemamba-s", "posemamba", {"options": {}}),
        (38.1, "MPJPE", "posemamba-l", "posemamba", {"keypoints": "SH"}),
        (15.6, "MPJPE", "posemamba-l", "posemamba", {"keypoints": "GT"}),
        (37.1, "MPJPE", "posemamba-x", "posemamba", {}),
        (16.8, "MPJPE", "posemamba-b", "posemamba-readme", {"keypoints": "GT"}),
        (17.79, "MPJPE", "posemamba-s", "posemamba", {"data": "MPI-INF-3DHP", "frames": 27}),
        (15.27, "MPJPE", "posemamba-s", "posemamba", {"data": "MPI-INF-3DHP", "frames": 81}),
        (14.51, "MPJPE", "posemamba-b", "posemamba", {"data": "MPI-INF-3DHP"}),
        (1.0, "compute", "motionagformer-xs", "motionagformer-readme", {}),
        (48.3, "compute", "motionagformer-b", "motionagformer-readme", {"frames": 243}),
        (26, "compute", "motionagformer-l", "motionagformer-readme", {"frames": 81}),
        (174.8, "compute", "motionbert", "hstgformer", {}),
        (32.6, "P-MPJPE", "mixste", "mixste", {"frames": 243, "keypoints": "CPN"}),
        (54.9, "MPJPE", "mixste", "mixste", {"data": "MPI-INF-3DHP", "frames": 27}),
        (6.520, "compute", "stcformer", "stcformer", {"frames": 81, "keypoints": "CPN"}),
        (78.107, "compute", "stcformer-l", "stcformer", {}),
        (1.0548, "compute", "poseformerv2", "poseformerv2-readme", {"frames": 243}),
        (0.868_5, "compute", "pstmo", "pstmo", {"system": "P-STMO", "frames": 243, "keypoints": "CPN"}),
        (69.5, "compute", "ktpformer", "hstgformer", {}),
        (37.9, "MPJPE", "tcpformer", "tcpformer", {"keypoints": "SH"}),
        (47.0, "MPJPE", "poseformer", "poseformer-readme", {"frames": 27}),
        (62.9, "MPJPE", "martinez", "videopose3d", {"keypoints": "SH"}),
        (47.7, "P-MPJPE", "martinez", "videopose3d", {"keypoints": "SH"}),
        (49.0, "MPJPE", "videopose3d-causal", "videopose3d", {}),
        (38.1, "P-MPJPE", "videopose3d-causal", "videopose3d", {}),
        (33.87, "compute per output frame", "videopose3d", "videopose3d", {"frames": 243}),
    ],
)
def test_what_the_sources_print(expected: float, metric: str, model: str, source: str, where: dict[str, Any]) -> None:
    assert value(metric, model, source, **where) == expected


@pytest.mark.parametrize(
    ("source", "system", "metric", "printed"),
    [
        ("hstgformer", "KTPFormer", "compute", 69.5),
        ("hstgformer", "P-STMO", "parameters", 6.2),
        ("posemamba-readme", "MotionAGFormer-L", "parameters", 7.9),
        ("sbahgnet", "STCFormer-L", "parameters", 19.9),
        ("sbahgnet", "STCFormer", "MPJPE", 21.3),
        ("sbahgnet", "PoseFormerV2", "compute", 4.8),
        ("bstmamba", "MixSTE", "compute", 7.7),
        ("bstmamba", "MixSTE", "compute", 23.1),
        ("bstmamba", "MotionAGFormer-S", "MPJPE", 42.5),
        ("stcformer", "MHFormer", "compute", 1.0),
        ("mixste", "PoseFormer", "P-MPJPE", 36.5),
    ],
)
def test_a_known_copy_error_carries_its_doubt(source: str, system: str, metric: str, printed: float) -> None:
    found = [
        row
        for row in ROWS
        if (row.source.key, row.system) == (source, system)
        if (figure := row.figure(metric)) is not None and figure.value == printed
    ]
    assert len(found) == 1
    assert found[0].doubt


def test_a_doubt_is_one_sentence() -> None:
    for row in ROWS:
        if row.doubt is not None:
            assert re.fullmatch(r"[A-Z].{20,}\.", row.doubt), row.doubt
            assert not re.search(r"\. [A-Z]", row.doubt), row.doubt


@pytest.mark.parametrize(
    "word",
    ["index id", "mirror", "/work", "golden", "extracted", "session", "measured here", "third_party", r"\bS\d\d\b"],
)
def test_no_text_speaks_of_how_the_figures_were_gathered(word: str) -> None:
    assert re.search(word, TEXT, re.IGNORECASE) is None


def content() -> dict[str, Any]:
    figures = [{"metric": "compute", "value": 1.5, "unit": "G", "label": "MACs", "convention": "thop MACs"}]
    row = {
        "system": "Lifter", "model": None, "frames": 27, "answers": "every", "data": None, "keypoints": None,
        "kind": "paper", "source": "lifter", "where": "Table 1", "figures": figures,
    }  # fmt: skip
    return {"sources": {"lifter": {"title": "Lifter", "venue": "A venue", "url": None}}, "rows": [row]}


def test_a_row_is_printed_on_one_line() -> None:
    given = content()
    given["rows"][0] |= {
        "data": "Human3.6M",
        "keypoints": "CPN",
        "options": {"depth": 3},
        "doubt": "It is made up.",
        "note": "So is this.",
    }
    given["rows"][0]["figures"].append({"metric": "latency", "value": 8, "unit": "ms", "condition": "one core"})
    (row,) = published.parse(given)
    assert str(row) == (
        "Lifter, T = 27, depth = 3, Human3.6M, CPN: compute 1.5 G MACs (thop MACs), latency 8 ms (one core); "
        "paper [lifter], Table 1. Doubt: It is made up. Note: So is this."
    )
    assert str(row.source) == "Lifter. A venue"


def test_a_row_is_read_with_its_source() -> None:
    (row,) = published.parse(content())
    assert (row.source.title, row.options, row.doubt) == ("Lifter", {}, None)
    assert row.figure("compute") == Figure("compute", 1.5, "G", "MACs", "thop MACs")
    assert row.figure("MPJPE") is None


MISSING = object()
MACS_OF_AN_ERROR = {"metric": "MPJPE", "value": 40.0, "unit": "mm", "label": "MACs"}


@pytest.mark.parametrize(
    ("path", "given", "message"),
    [
        ("rows.0.sourc", "lifter", r"row 1 \(Lifter\): unknown field 'sourc'\. Did you mean: source\?"),
        ("rows.0.where", MISSING, r"row 1 \(Lifter\): no where"),
        ("rows.0.model", MISSING, r"row 1 \(Lifter\): no model"),
        ("rows.0.source", "liftr", r"row 1 \(Lifter\): unknown source 'liftr'\. Did you mean: lifter\?"),
        ("rows.0.frames", "27", r"row 1 \(Lifter\): frames is '27', which is not of its type"),
        ("rows.0.frames", 0, r"frames is 0; it must be at least 1"),
        ("rows.0.frames", True, r"frames is True, which is not of its type"),
        ("rows.0.answers", "center", r"unknown answers 'center'\. Did you mean: centre, "),
        ("rows.0.kind", "papers", r"unknown kind 'papers'\. Did you mean: paper\?"),
        ("rows.0.kind", "third-party note", r"a third-party note must give its doubt"),
        ("rows.0.figures", [], r"there must be one or more, each metric once"),
        ("rows.0.figures.1", "again", r"row 1 \(Lifter\), figure 2: expected an object, got 'again'"),
        ("rows.0.figures.0.unit", MISSING, r"row 1 \(Lifter\), figure 1: no unit"),
        ("rows.0.figures.0.unit", "M", r"figure 1: compute is in 'M'; it must be in 'G'"),
        ("rows.0.figures.0.unti", "G", r"figure 1: unknown field 'unti'\. Did you mean: unit\?"),
        ("rows.0.figures.0.metric", "computes", r"unknown metric 'computes'\. Did you mean: compute"),
        ("rows.0.figures.0.value", -1.5, r"compute is -1\.5; it must be positive"),
        ("rows.0.figures.0.value", float("inf"), r"compute is inf; it must be positive"),
        ("rows.0.figures.0.value", "1.5", r"figure 1: value is '1\.5', which is not of its type"),
        ("rows.0.figures.0.label", MISSING, r"compute has the label None; counts of operations have one"),
        ("rows.0.figures.0.metric", "latency", r"latency is in 'G'; it must be in 'ms'"),
        (
            "rows.0.figures",
            [MACS_OF_AN_ERROR],
            r"MPJPE has the label 'MACs'; counts of operations have one, others none",
        ),
        ("rows.0.figures.0.label", "FLOPS", r"unknown label 'FLOPS'\. Did you mean: FLOPs\?"),
        ("rows.0.figures.0.convention", "thop", r"unknown convention 'thop'\."),
        ("rows.0", "Lifter", r"row 1: expected an object, got 'Lifter'"),
        ("rows", {}, r"expected an object of sources and a list of rows"),
        ("rows", [], r"no row uses the source lifter"),
        ("sources.lifter.url", MISSING, r"source 'lifter': no url"),
        ("sources.lifter.year", 2024, r"source 'lifter': unknown field 'year'"),
        ("sources.other", {"title": "Other", "venue": "None", "url": None}, r"no row uses the source other"),
        ("notes", "none", r"expected an object of sources and a list of rows"),
    ],
)
def test_what_the_file_must_not_hold(path: str, given: Any, message: str) -> None:
    broken: Any = copy.deepcopy(content())
    *parents, last = path.split(".")
    holder = broken
    for parent in parents:
        holder = holder[int(parent) if isinstance(holder, list) else parent]
    if isinstance(holder, list):
        holder[int(last) :] = [given]
    elif given is MISSING:
        del holder[last]
    else:
        holder[last] = given
    with pytest.raises(BadInput, match=message):
        published.parse(broken)


def test_a_metric_stands_once_in_a_row() -> None:
    broken = content()
    broken["rows"][0]["figures"] *= 2
    with pytest.raises(BadInput, match=r"the figures are \['compute', 'compute'\]"):
        published.parse(broken)


def test_the_file_has_no_key_twice() -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        assert len(names) == len(set(names)), names
        return dict(pairs)

    json.loads(TEXT, object_pairs_hook=once)


def test_published_figures_need_no_torch() -> None:
    code = (
        "import sys\nsys.modules['torch'] = None\nsys.modules['pandas'] = None\n"
        "from harness import published\nprint(published.of('posemamba-s')[0].system)\n"
        "print(sorted(m for m in sys.modules if m.startswith('harness.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "PoseMamba-S\n['harness.errors', 'harness.published']\n"

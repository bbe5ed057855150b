"""Looks tell lifters apart in colour and in grey, and do not depend on the order lifters come in."""

from __future__ import annotations

import seaborn as sns

from harness.models import MODELS
from harness.reporting import palette
from harness.reporting.palette import COLOURS, INK, LINE, MUTED, PAPER, looks

POSEMAMBA = [(name, name, float(MODELS[name].parameters)) for name in ("posemamba-s", "posemamba-b", "posemamba-l")]
ALL = [(name, name, float(entry.parameters)) for name, entry in MODELS.items()]


def luminance(colour: str) -> float:
    return float(sns.utils.relative_luminance(colour))


def test_sizes_of_a_family_share_a_hue_and_the_larger_is_darker() -> None:
    found = looks(POSEMAMBA)
    assert len({look.writing for look in found.values()}) == 1
    by_size = [luminance(found[name].colour) for name, _, _ in POSEMAMBA]
    assert by_size == sorted(by_size, reverse=True)
    assert by_size[0] > by_size[-1] + 0.1


def test_markers_differ_among_eight_and_dashes_within_a_family() -> None:
    eight = [*POSEMAMBA, *[member for member in ALL if member[0].startswith(("motionagformer", "mixste"))][:5]]
    found = looks(eight)
    assert len({look.marker for look in found.values()}) == 8
    assert len({str(found[name].dashes) for name, _, _ in POSEMAMBA}) == 3


def test_families_of_one_figure_have_hues_of_their_own_as_far_as_there_are_enough() -> None:
    models = ("posemamba-s", "motionagformer-s", "motionbert", "mixste", "mhformer", "poseformer", "pstmo", "martinez")
    found = looks([(name, name, 1.0) for name in models])
    assert {look.colour for look in found.values()} == set(COLOURS)


def test_colours_are_of_seaborns_palette_for_the_colour_blind() -> None:
    assert set(COLOURS) < set(sns.color_palette("colorblind").as_hex())


def test_of_more_families_than_colours_those_of_one_kind_differ() -> None:
    by_kind: dict[tuple[str, str], dict[str, str]] = {}
    found = looks(ALL)
    for name, entry in MODELS.items():
        by_kind.setdefault((entry.kind, entry.answers), {})[palette.family(name)] = found[name].writing
    assert len({palette.family(name) for name in MODELS}) > len(COLOURS)
    for hues in by_kind.values():
        assert len(set(hues.values())) == len(hues)


def test_the_order_does_not_matter_and_a_stranger_has_a_look() -> None:
    stranger = ("mine", "package.module:build", 5.0)
    assert looks([*ALL, stranger]) == looks([stranger, *reversed(ALL)])
    assert palette.family("package.module:build") == "package.module"


def test_no_colour_is_that_of_text_or_paper_and_writing_can_be_read() -> None:
    for look in looks(ALL).values():
        assert not {look.colour, look.writing} & {INK, MUTED, LINE, PAPER}
        contrast = (luminance(PAPER) + 0.05) / (luminance(look.writing) + 0.05)
        assert contrast > 4.5, look

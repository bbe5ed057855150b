"""Figures are drawn in their own style and saved without a trace of when and by what."""

from __future__ import annotations

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from harness.reporting.figure import blank, style, to_png, to_svg


def small() -> Figure:
    with style():
        figure = blank(2, 2)
        figure.subplots().plot([1, 2])
    return figure


def test_nothing_leaks_into_the_settings_of_others_nor_theirs_into_ours() -> None:
    with mpl.rc_context({"font.size": 23, "lines.linewidth": 9}):
        with style():
            assert mpl.rcParams["font.size"] == 10
            assert mpl.rcParams["lines.linewidth"] == sns.plotting_context("paper")["lines.linewidth"]
            to_svg(small())
        assert mpl.rcParams["font.size"] == 23
        assert mpl.rcParams["lines.linewidth"] == 9


def test_the_theme_is_seaborns_but_for_what_is_our_own() -> None:
    with sns.axes_style("darkgrid"), sns.plotting_context("poster"), style():
        assert mpl.rcParams["lines.solid_capstyle"] == sns.axes_style("ticks")["lines.solid_capstyle"] != "projecting"
        assert mpl.rcParams["axes.linewidth"] == sns.plotting_context("paper")["axes.linewidth"]
        assert mpl.rcParams["font.family"] == ["DejaVu Sans"]
        assert not mpl.rcParams["patch.force_edgecolor"]


def test_files_say_neither_date_nor_program() -> None:
    svg, png = to_svg(small()), to_png(small())
    assert b"<metadata" not in svg
    assert b"<dc:date" not in svg
    assert not any(word in png for word in (b"Software", b"tIME"))
    assert svg == to_svg(small())
    assert png == to_png(small())

"""Figures are drawn in their own style and saved without a trace of when and by what."""

from __future__ import annotations

import re
import xml.etree.ElementTree

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from harness.reporting.figure import _compact, blank, style, to_png, to_svg


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


def test_svg_has_no_digits_that_nobody_sees_and_no_names_that_nothing_uses() -> None:
    with style():
        figure = blank(2, 2)
        axes = figure.subplots()
        axes.plot([0, 1 / 3, 1], [1 / 7, 1 / 3, 1 / 7], label="a")
        axes.text(0.5, 0.2, "a: b; c <d>")
    source = to_svg(figure).decode()
    places = re.findall(r'\bd="([^"]*)"|translate\(([^)]*)\)', source)
    assert places
    assert not any(re.search(r"\.\d{3}", place) for pair in places for place in pair)
    used = set(re.findall(r'(?:url\(|href=")#([^")]*)', source))
    names = re.findall(r'\bid="([^"]*)"', source)
    assert used <= set(names)
    assert len(names) == len(set(names))
    assert not re.search(r"<g id", source)
    xml.etree.ElementTree.fromstring(source)


def test_a_smaller_svg_shows_the_same() -> None:
    """Lines drawn by what is implied after the first point, curves as they were."""
    line, curve = 'd="M 1.23456 2 \nL 3 4.987654 \nL 5 6 \nz\n"', 'd="M 1 2 \nQ 1 2 3 4 \nL 5 6"'
    source = f'<svg><g id="a"><path {line}/><path {curve}/></g></svg>'
    short = _compact(source)
    assert 'd="M 1.23 2 3 4.99 5 6' in " ".join(short.split())
    assert "L 5 6" in short.split("Q")[1]

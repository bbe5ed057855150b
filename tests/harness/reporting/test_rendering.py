"""The written page: its policy is that of its own scripts, and figures keep to themselves."""

from __future__ import annotations

import base64
import hashlib
import re

from matplotlib.figure import Figure

from harness.reporting.drawing import Drawing
from harness.reporting.figure import blank, style
from harness.reporting.page import Page
from harness.reporting.rendering import render


def test_every_script_of_the_page_is_allowed_and_no_other() -> None:
    source = render(Page("title", "", (), "", ()))
    scripts = re.findall(r"<script>(.*?)</script>", source, flags=re.DOTALL)
    digests = {base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts}
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', source)
    policy = policy.replace("&#39;", "'")
    assert len(scripts) == 2
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == digests
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "'unsafe-inline'" not in policy.partition("style-src")[0]


def test_scripts_hold_nothing_that_ends_them() -> None:
    source = render(Page("title", "", (), "", ()))
    assert source.count("<script") == source.count("</script") == 2


def drawn() -> Figure:
    with style():
        figure = blank(3.0, 2.0)
        axes = figure.subplots()
        axes.plot([0, 1 / 3, 1], [0, 1 / 7, 1], clip_on=True)
        axes.set_title("title")
    return figure


def test_a_drawing_keeps_its_names_and_its_letters() -> None:
    one, other = (
        Drawing(name, 'caption "quoted" <b>', drawn(), notes="of these", prefix=prefix)
        for name, prefix in (("one", "f0-1"), ("other", ""))
    )
    names = [set(re.findall(r' id="([^"]+)"', str(drawing.inline_svg))) for drawing in (one, other)]
    assert names[0]
    assert not names[0] & names[1]
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', str(one.inline_svg)))
    # Nothing is named that is not referred to, and briefly.
    assert used == names[0]
    assert all(re.fullmatch(r"f0-1-\d+", name) for name in names[0])
    assert all(name.startswith("other-") for name in names[1])
    assert 'aria-label="caption &#34;quoted&#34; &lt;b&gt; of these"' in one.inline_svg
    # Letters are drawn large and scaled down by this very factor.
    assert "scale(0.015625)" in one.inline_svg
    assert one.width_pt == "216"

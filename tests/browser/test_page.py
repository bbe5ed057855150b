"""The page itself: silent, alone, readable in every light and at every width, and usable without a mouse."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.browser import store
from tests.browser.conftest import DESKTOP, PHONE, Opened

Open = Callable[..., Opened]

LARGEST_BYTES = 5_000_000
#: Text nodes that are seen, each with its contrast against what is painted behind it (WCAG 2.2, 1.4.3).
CONTRASTS = """() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const over = (top, below) => {
    const opacity = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map((index) => opacity * top[index] + (1 - opacity) * below[index]);
  };
  const luminance = (colour) => colour
    .map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    if (!element) {
      return matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18] : [255, 255, 255];
    }
    return over(channels(getComputedStyle(element).backgroundColor), behind(element.parentElement));
  };
  // All runs are listed alike: the first will do.
  document.querySelectorAll("details:not(.run), .run:first-of-type").forEach((details) => { details.open = true; });
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || !element.checkVisibility({ visibilityProperty: true, opacityProperty: true })) {
      continue;
    }
    if (element.closest("script, style, svg")) {
      continue;
    }
    const style = getComputedStyle(element);
    const back = behind(element);
    const [low, high] = [luminance(over(channels(style.color), back)), luminance(back)].sort((one, two) => one - two);
    const large = parseFloat(style.fontSize) >= (style.fontWeight >= 700 ? 18.66 : 24);
    found.push({ text, contrast: (high + 0.05) / (low + 0.05), least: large ? 3 : 4.5 });
  }
  return found;
}"""
#: Everything that a keyboard must reach.
CONTROLS = "a[href], button, select, input, summary, [tabindex='0']"


def test_it_opens_in_silence_and_asks_for_nothing(open_page: Open, page_file: Path) -> None:
    opened = open_page()
    opened.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    opened.viewer.scroll_into_view_if_needed()
    opened.page.locator("[data-part=play]").click()
    opened.until("Number(state.frame) > 0")
    assert opened.said == []
    assert opened.asked_for == [page_file.as_uri()]
    assert page_file.stat().st_size < LARGEST_BYTES


def test_its_policy_stops_scripts_and_requests(open_page: Open) -> None:
    opened = open_page(plain=True)
    refused, ran = opened.page.evaluate("""async () => {
      const refused = [];
      const three = new Promise((done) => document.addEventListener("securitypolicyviolation", (event) => {
        refused.push(event.effectiveDirective);
        refused.length === 3 && done();
      }));
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      new Image().src = "https://example.org/pixel.png";
      fetch("https://example.org/").catch(() => undefined);
      document.body.append(script);
      await Promise.race([three, new Promise((done) => setTimeout(done, 3000))]);
      return [refused.sort(), Boolean(window.ran)];
    }""")
    assert refused == ["connect-src", "img-src", "script-src-elem"]
    assert not ran


def test_the_first_screen_answers(open_page: Open) -> None:
    opened = open_page()
    models = opened.page.locator(".ranking .model tr")
    assert models.count() == len(store.MODELS) + 1
    assert opened.page.locator(".ranks .box").evaluate("(box) => box.scrollWidth <= box.clientWidth")
    assert "beside other work" in opened.page.locator(".conditions").inner_text()
    for place in ("h1", ".facts", ".headline", ".first svg", ".neighbours li >> nth=8", ".ranking .model tr >> nth=10"):
        box = opened.page.locator(place).first.bounding_box()
        assert box["y"] >= 0, place
        assert box["y"] + box["height"] <= DESKTOP[1], place


def test_neighbours_are_compared(open_page: Open) -> None:
    said = open_page(plain=True).page.locator(".neighbours li").all_inner_texts()
    assert len(said) == len(store.MODELS) - 1
    assert not any("cannot be tested" in sentence for sentence in said)
    assert {"better than" in sentence for sentence in said} == {True, False}
    assert all("p\u00a0" in sentence for sentence in said)


def test_headings_leave_out_no_level(open_page: Open) -> None:
    for file, chapters in (("plain_file", "H2"), ("groups_file", "H3")):
        page = open_page(of=file).page
        page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        found = page.evaluate(
            "[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((one) => Number(one.tagName[1]))"
        )
        assert found[0] == 1
        assert found.count(1) == 1
        assert all(below <= above + 1 for above, below in pairwise(found))
        assert set(page.locator(".title").evaluate_all("(all) => all.map((one) => one.tagName)")) == {chapters}


def test_what_scrolls_is_named_and_reached_by_keyboard(open_page: Open) -> None:
    page = open_page().page
    boxes = page.evaluate("""() => [...document.querySelectorAll("*")]
      .filter((one) => ["auto", "scroll"].includes(getComputedStyle(one).overflowX) && !one.closest(".chapters"))
      .map((one) => [one.getAttribute("role"), one.tabIndex, one.getAttribute("aria-label")])""")
    assert len(boxes) > 10
    assert {(role, index) for role, index, _ in boxes} == {("region", 0)}
    assert all(name for *_, name in boxes)


def test_nothing_is_said_by_a_tooltip_alone(open_page: Open) -> None:
    page = open_page(plain=True).page
    page.locator(".columns summary").click()
    text = page.locator("body").inner_text()
    assert "sha256 of their 2D and 3D arrays: b2b2" in text
    assert "192 sequences" in text
    assert "ran out of memory" in page.locator(".gaps").inner_text()
    columns = page.locator(".columns").inner_text()
    titles = page.evaluate("[...document.querySelectorAll('[title]')].map((one) => one.title).filter(Boolean)")
    assert titles
    assert all(title in columns for title in titles)


def test_names_that_are_markup_stay_text(open_page: Open) -> None:
    opened = open_page(plain=True)
    page = opened.page
    assert page.locator("img").count() == 0
    assert page.title() == f"Ten lifters {store.HOSTILE}"
    assert store.HOSTILE_MODEL in page.locator(".ranking tbody.model").inner_text()
    assert store.HOSTILE in page.locator(".gaps").inner_text()
    assert opened.state("sequence") == f"s7/sit-1@{store.HOSTILE}"
    assert store.HOSTILE_MODEL in page.locator("[data-part=model]").inner_text()
    assert opened.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(open_page: Open, scheme: str) -> None:
    opened = open_page(color_scheme=scheme)
    found = opened.page.evaluate(CONTRASTS)
    assert len(found) > 800
    assert [text for text in found if text["contrast"] < text["least"]] == []


def test_a_faint_text_would_be_found(open_page: Open) -> None:
    opened = open_page(plain=True)
    opened.page.add_style_tag(content=".headline { color: #8a8a8a }")
    found = [text for text in opened.page.evaluate(CONTRASTS) if text["contrast"] < text["least"]]
    assert len(found) == 1


def test_a_phone_scrolls_tables_in_their_boxes_alone(open_page: Open) -> None:
    page = open_page(PHONE).page
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    box = page.locator(".box").first
    assert box.evaluate("(box) => box.scrollWidth > box.clientWidth")
    assert page.get_by_text("The table scrolls sideways").is_visible()
    assert page.get_by_text("In these tables the names stay").is_visible()
    assert "linear-gradient" in box.evaluate("(box) => getComputedStyle(box).backgroundImage")
    box.evaluate("(box) => { box.scrollLeft = 300; }")
    name = page.locator(".ranking tbody th").first.bounding_box()
    assert abs(name["x"] - box.bounding_box()["x"]) < 1
    assert page.locator(".plot svg").first.bounding_box()["height"] > 200


def test_a_keyboard_reaches_every_control_and_sees_where_it_is(open_page: Open) -> None:
    page = open_page(plain=True).page
    wanted = page.evaluate(f"""() => {{
      window.wanted = [...document.querySelectorAll("{CONTROLS}")].filter((one) => one.checkVisibility());
      window.seen = [];
      document.addEventListener("focusin", ({{ target }}) => {{
        const style = getComputedStyle(target);
        window.seen.push([target, style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1]);
      }});
      return window.wanted.length;
    }}""")
    assert wanted > 60
    for _ in range(wanted):
        page.keyboard.press("Tab")
    missed, unseen = page.evaluate("""() => [
      window.wanted.filter((one) => !window.seen.some(([seen]) => seen === one)).map((one) => one.outerHTML),
      window.seen.filter(([, visible]) => !visible).map(([one]) => one.outerHTML),
    ]""")
    assert missed == []
    assert unseen == []


def column(page: Any, number: int) -> list[str]:
    return list(page.locator(f".ranking tbody.model tr > :nth-child({number})").all_inner_texts())


def test_the_table_is_sorted_by_keyboard(open_page: Open) -> None:
    page = open_page(plain=True).page
    headings = [text.split("\n")[0] for text in page.locator(".ranking thead th").all_inner_texts()]
    number = headings.index("params") + 1
    heading, ranked = page.locator(f".ranking thead th:nth-child({number})"), column(page, 1)
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column(page, number)[:3] == ["167 k", "171 k", "268 k"]
    # What has no figure is last either way.
    assert column(page, number)[-1] == "–"
    page.keyboard.press("Space")
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(page, number)[0] == "19.8 M"
    assert column(page, number)[-1] == "–"
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "none"
    assert column(page, 1) == ranked
    assert page.locator(".ranking tbody.floor tr").count() == 3


def test_chapters_are_reached_by_their_links(open_page: Open) -> None:
    page = open_page().page
    links = page.locator(".chapters a")
    assert links.count() >= 9
    page.locator(".chapters a", has_text="reproduce").click()
    bar = page.locator(".chapters").bounding_box()
    heading = page.get_by_role("heading", name="How to reproduce").bounding_box()
    assert abs(bar["y"]) < 1
    assert bar["height"] <= heading["y"] + heading["height"] / 2 < DESKTOP[1] / 2


def test_without_scripts_everything_is_there_but_the_player(open_page: Open) -> None:
    opened = open_page(java_script_enabled=False)
    page = opened.page
    assert page.locator(".ranking tbody.model tr").first.is_visible()
    assert page.locator(".ranking button").count() == 0
    assert not page.locator("[data-part=stage]").is_visible()
    assert page.locator(".stills figure").count() == 4
    assert page.locator(".stills svg").first.is_visible()
    assert page.locator(".plot svg").count() >= 5
    assert "harness run --model posemamba-s" in page.locator(".recipe", has_text="posemamba-s").first.inner_text()
    assert opened.said == []


def test_paper_shows_tables_and_poses(open_page: Open) -> None:
    page = open_page(color_scheme="dark").page
    page.emulate_media(media="print")
    for place in (".ranking tbody.model tr", ".figures-table tbody tr", ".stills svg", ".recipe pre", ".gaps tr"):
        assert page.locator(place).first.is_visible(), place
    assert not page.locator("[data-part=stage]").is_visible()
    assert not page.locator(".chapters").is_visible()
    # Dark ink on paper, whatever the screen is like.
    assert page.locator("body").evaluate("(body) => getComputedStyle(body).color") == "rgb(31, 35, 40)"
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")

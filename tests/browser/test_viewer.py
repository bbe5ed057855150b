"""The viewer of excerpts, through what it says of itself in the page and what is on its canvas."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.reporting.evidence import Evidence
from harness.reporting.viewer import frame_errors_mm
from tests.browser import store
from tests.browser.conftest import PHONE, Opened

Open = Callable[..., Opened]
LAST = store.POSES - 1


@pytest.fixture
def opened(open_page: Open) -> Opened:
    found = open_page(plain=True)
    found.viewer.scroll_into_view_if_needed()
    return found


def first_errors_mm(evidence: Evidence, run: dict[str, Any]) -> NDArray[np.float64]:
    """(K,) of the first excerpt of a run."""
    kept = evidence.traces(run)
    assert kept is not None
    return frame_errors_mm(kept.excerpts[0])


def test_it_stands_still_until_it_is_asked(opened: Opened) -> None:
    assert [opened.state(name) for name in ("playing", "frame", "overlay")] == ["false", "0", "false"]
    assert opened.page.locator("[data-part=play]").inner_text() == "Play"
    assert not opened.page.locator(".stills").is_visible()


def test_it_plays_and_pauses(opened: Opened) -> None:
    button = opened.page.locator("[data-part=play]")
    before = opened.picture()
    button.click()
    opened.until("Number(state.frame) >= 3")
    assert opened.state("playing") == "true"
    assert button.inner_text() == "Pause"
    button.click()
    opened.until("state.playing === 'false'")
    frame, picture = opened.state("frame"), opened.picture()
    assert picture != before
    opened.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert (opened.state("frame"), opened.picture()) == (frame, picture)


def test_between_two_poses_it_shows_what_lies_between(opened: Opened) -> None:
    # The page's clock is ours: 16 ms are a fifth of the time between two poses. At each moment, where the left limbs
    # are on average, by the pixels that are wholly of their colour.
    frames, places = opened.page.evaluate("""() => {
      const steps = [];
      window.requestAnimationFrame = (step) => steps.push(step);
      const viewer = document.querySelector(".viewer");
      const canvas = viewer.querySelector("canvas");
      const place = () => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        let [sum, count] = [0, 0];
        for (let at = 0; at < data.length; at += 4) {
          if (data[at] === 11 && data[at + 1] === 98 && data[at + 2] === 168) {
            sum += (at / 4) % canvas.width;
            count += 1;
          }
        }
        return sum / count;
      };
      viewer.querySelector("[data-part=play]").click();
      const seen = [0, 16, 32, 48].map((now) => {
        steps.shift()(now);
        return [viewer.dataset.frame, place()];
      });
      return [seen.map(([frame]) => frame), seen.map(([, place]) => place)];
    }""")
    assert frames == ["0", "0", "0", "1"]
    assert all(abs(place - before) > 0.05 for before, place in pairwise(places))


def test_the_scrubber_goes_by_keyboard(opened: Opened) -> None:
    scrubber = opened.page.locator("[data-part=scrubber]")
    scrubber.focus()
    first = opened.picture()
    opened.page.keyboard.press("ArrowRight")
    assert opened.state("frame") == "1"
    assert opened.picture() != first
    opened.page.keyboard.press("End")
    assert opened.state("frame") == str(LAST)
    assert scrubber.get_attribute("aria-valuetext").startswith("7.92 s, error ")
    opened.page.keyboard.press("Home")
    assert (opened.state("frame"), opened.picture()) == ("0", first)
    opened.page.keyboard.press("Space")
    opened.until("state.playing === 'true'")
    opened.page.keyboard.press("Space")
    opened.until("state.playing === 'false'")


def test_the_error_is_that_of_the_frame(opened: Opened, evidence: Evidence) -> None:
    run = next(run for run in evidence.records if run["config"]["model"] == opened.state("model"))
    errors_mm = first_errors_mm(evidence, run)
    for frame in (0, 37, LAST):
        opened.page.locator("[data-part=scrubber]").fill(str(frame))
        shown = opened.page.locator("[data-part=error]").inner_text()
        assert abs(float(shown.removesuffix(" mm")) - errors_mm[frame]) < 0.6
    assert opened.page.locator("[data-part=curve] .chosen").get_attribute("d").count("L") == LAST
    assert opened.page.locator("[data-part=curve] .behind").count() == len(store.MODELS) - 1


def test_the_curve_is_scaled_to_the_chosen_model(opened: Opened, evidence: Evidence) -> None:
    shown = opened.state("model")
    highest = {}
    for model in dict.fromkeys(run["config"]["model"] for run in evidence.records if "traces" in run):
        run = next(run for run in evidence.records if run["config"]["model"] == model)
        highest[model] = first_errors_mm(evidence, run).max()
    assert max(highest.values()) > 1.2 * highest[shown]
    top = opened.page.locator("[data-part=highest]").inner_text()
    assert abs(float(top.removesuffix(" mm")) - 1.1 * highest[shown]) < 0.6
    cut = sum(value > 1.1 * highest[shown] for model, value in highest.items() if model != shown)
    assert f"{cut} of them leave" in opened.page.locator("[data-part=cut]").inner_text()


def test_the_other_models_curves_are_seen_and_named(opened: Opened, evidence: Evidence) -> None:
    opened.page.locator("[data-part=others] summary").click()
    names = opened.page.locator("[data-part=other-names] li").all_inner_texts()
    assert {name.rpartition(": ")[0] for name in names} == {*store.MODELS} - {opened.state("model")}
    stroke = opened.page.locator("[data-part=curve] .behind").first.evaluate("(path) => getComputedStyle(path).stroke")
    muted = opened.page.locator("[data-part=reason]").evaluate("(text) => getComputedStyle(text).color")
    # The colour of small text, which stands out by more than a line has to.
    assert stroke == muted


def test_the_curve_leads_to_its_moments(opened: Opened) -> None:
    box = opened.page.locator("[data-part=curve]").bounding_box()
    opened.page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 10)
    assert opened.state("frame") == "74"


def test_it_turns_and_zooms(opened: Opened) -> None:
    canvas = opened.page.locator(".viewer canvas")
    canvas.focus()
    pictures = [opened.picture()]
    for key, name in (("ArrowRight", "azimuth"), ("ArrowUp", "elevation"), ("+", "zoom"), ("-", "zoom")):
        before = opened.state(name)
        opened.page.keyboard.press(key)
        assert opened.state(name) != before, key
        pictures.append(opened.picture())
    assert len(set(pictures[:4])) == 4
    opened.page.keyboard.press("0")
    assert opened.picture() == pictures[0]
    box = canvas.bounding_box()
    opened.page.mouse.move(box["x"] + 200, box["y"] + 200)
    opened.page.mouse.down()
    opened.page.mouse.move(box["x"] + 300, box["y"] + 220, steps=3)
    opened.page.mouse.up()
    turned = opened.state("azimuth")
    assert turned == "75"
    opened.page.mouse.move(box["x"] + 400, box["y"] + 200)
    assert opened.state("azimuth") == turned
    opened.page.mouse.wheel(0, -300)
    opened.until("Number(state.zoom) > 1.3")
    opened.page.get_by_role("button", name="Reset view").click()
    assert opened.picture() == pictures[0]


def test_the_wheel_scrolls_past_a_view_that_was_not_chosen(opened: Opened) -> None:
    box = opened.page.locator(".viewer canvas").bounding_box()
    opened.page.mouse.move(box["x"] + 200, box["y"] + 100)
    scrolled = opened.page.evaluate("window.scrollY")
    opened.page.mouse.wheel(0, 120)
    opened.page.wait_for_function(f"() => window.scrollY !== {scrolled}")
    assert opened.state("zoom") == "1.00"


def test_another_model_and_another_sequence_are_other_pictures(opened: Opened) -> None:
    model, sequence = opened.page.locator("[data-part=model]"), opened.page.locator("[data-part=sequence]")
    first, where = opened.picture(), opened.state("sequence")
    assert model.locator("option").count() == len(store.MODELS)
    opened.page.locator("[data-part=scrubber]").fill("20")
    model.select_option(label="posemamba-xs")
    assert opened.state("model") == "posemamba-xs"
    # The same moment of the same sequence: two models are set against each other by switching between them.
    assert (opened.state("sequence"), opened.state("frame")) == (where, "20")
    opened.page.locator("[data-part=scrubber]").fill("0")
    assert opened.picture() != first
    sequence.select_option(index=2)
    assert opened.state("sequence") == "s7/jump-3@camera1"
    assert "that this run is worst at" in opened.page.locator("[data-part=reason]").inner_text()


def test_truth_and_prediction_can_be_overlaid(opened: Opened) -> None:
    button = opened.page.get_by_role("button", name="Overlay")
    before = opened.picture()
    button.press("Enter")
    assert (opened.state("overlay"), button.get_attribute("aria-pressed")) == ("true", "true")
    assert opened.picture() != before
    button.press("Enter")
    assert opened.picture() == before


def test_it_stops_when_nobody_sees_it(opened: Opened) -> None:
    opened.page.locator("[data-part=play]").click()
    opened.until("Number(state.frame) >= 1")
    opened.page.evaluate("window.scrollTo(0, 0)")
    opened.until("state.playing === 'false'")


def test_it_follows_the_scheme(open_page: Open) -> None:
    opened = open_page(plain=True, color_scheme="light")
    light = opened.picture()
    opened.page.emulate_media(color_scheme="dark")
    opened.page.wait_for_function(
        "(light) => document.querySelector('.viewer canvas').toDataURL() !== light", arg=light
    )


def test_who_wants_less_motion_sees_an_excerpt_once(open_page: Open) -> None:
    opened = open_page(plain=True, reduced_motion="reduce")
    opened.viewer.scroll_into_view_if_needed()
    opened.page.locator("[data-part=scrubber]").fill(str(LAST - 4))
    opened.page.locator("[data-part=play]").click()
    opened.until("state.playing === 'true'")
    opened.until(f"state.playing === 'false' && state.frame === '{LAST}'")


def test_fingers_turn_it_on_a_phone(open_page: Open) -> None:
    opened = open_page(PHONE, plain=True, has_touch=True, is_mobile=True)
    opened.viewer.scroll_into_view_if_needed()
    before = opened.picture()
    opened.page.evaluate("""() => {
      const canvas = document.querySelector(".viewer canvas");
      canvas.setPointerCapture = () => {};
      const fire = (name, id, x) => canvas.dispatchEvent(
        new PointerEvent(name, { pointerId: id, clientX: x, clientY: 50, pointerType: "touch", bubbles: true })
      );
      fire("pointerdown", 5, 100);
      fire("pointermove", 5, 150);
      fire("pointerdown", 6, 250);
      fire("pointermove", 6, 350);
      fire("pointerup", 5, 150);
      fire("pointerup", 6, 350);
    }""")
    assert opened.state("azimuth") == "55"
    assert opened.state("zoom") == "2.00"
    assert opened.picture() != before

"""Where the viewer and the stills put a person: left is left, up is up, near is near, and the truth is the truth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.browser.conftest import PHONE, Opened

Open = Callable[..., Opened]
ARM, LEG, LARGE, BROKEN = range(4)

#: Of each half of the canvas and each colour, by the pixels that are wholly of it: their middle and their edges, in
#: shares of the half from its left and its top.
PLACES = """() => {
  const canvas = document.querySelector(".viewer canvas");
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const half = width / 2;
  const colours = { left: [11, 98, 168], right: [194, 80, 10] };
  return ["truth", "prediction"].map((_, panel) => Object.fromEntries(Object.entries(colours).map(([name, colour]) => {
    const found = [];
    for (let at = 0; at < data.length; at += 4) {
      const [x, y] = [(at / 4) % width, Math.floor(at / 4 / width)];
      if (colour.every((value, index) => data[at + index] === value) && Math.floor(x / half) === panel) {
        found.push([(x - panel * half) / half, y / height]);
      }
    }
    const mean = (index) => found.reduce((sum, place) => sum + place[index], 0) / found.length;
    const edge = (pick, index) => found.reduce((most, place) => pick(most, place[index]), found[0][index]);
    return [name, {
      x: mean(0), y: mean(1),
      left: edge(Math.min, 0), right: edge(Math.max, 0), top: edge(Math.min, 1), bottom: edge(Math.max, 1),
    }];
  })));
}"""


@pytest.fixture
def opened(open_page: Open) -> Opened:
    return shown(open_page)


def shown(open_page: Open, *size: tuple[int, int]) -> Opened:
    found = open_page(*size, of="poses_file", color_scheme="light")
    found.viewer.scroll_into_view_if_needed()
    return found


def places(opened: Opened, excerpt: int) -> Any:
    opened.page.locator("[data-part=sequence]").select_option(index=excerpt)
    return opened.page.evaluate(PLACES)


def test_left_and_right_up_and_down_truth_and_prediction(opened: Opened) -> None:
    truth, prediction = places(opened, ARM)
    # Who faces the camera has his left side on the picture's right.
    assert truth["left"]["x"] > truth["right"]["x"] + 0.05
    assert prediction["left"]["x"] > prediction["right"]["x"] + 0.05
    # In the truth the left arm is up, in the prediction the right one.
    assert truth["left"]["top"] < truth["right"]["top"] - 0.1
    assert prediction["right"]["top"] < prediction["left"]["top"] - 0.1
    # The feet are below.
    assert min(side["bottom"] for side in (*truth.values(), *prediction.values())) > 0.7


def test_near_and_far(opened: Opened) -> None:
    # From the right of the camera, what comes towards it goes to the left; from above, it goes down.
    key = opened.page.locator(".viewer canvas")
    key.focus()
    truth, _ = places(opened, LEG)
    at_first = (truth["left"]["x"] + truth["right"]["x"]) / 2
    assert opened.state("azimuth") == "35"
    assert at_first > 0.55
    for _ in range(12):
        key.press("ArrowLeft")
    assert opened.state("azimuth") == "-37"
    truth, _ = places(opened, LEG)
    assert (truth["left"]["x"] + truth["right"]["x"]) / 2 < 0.45
    before = truth["left"]["bottom"]
    for _ in range(6):
        key.press("ArrowUp")
    truth, _ = places(opened, LEG)
    assert truth["left"]["bottom"] > before + 0.05


def test_an_overlay_has_the_prediction_in_colour_and_the_truth_dashed(opened: Opened) -> None:
    opened.page.get_by_role("button", name="Overlay").click()
    left, top, height = opened.page.evaluate("""() => {
      const canvas = document.querySelector(".viewer canvas");
      const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      const tops = [[11, 98, 168], [31, 35, 40]].map((colour) => {
        for (let at = 0; at < data.length; at += 4) {
          // The truth's lifted left arm is on the right of the middle. Thin lines are nowhere wholly of a colour.
          const aside = (at / 4) % width > width / 2 + 10;
          if (aside && colour.every((value, index) => Math.abs(data[at + index] - value) < 20)) {
            return Math.floor(at / 4 / width);
          }
        }
      });
      return [...tops, height];
    }""")
    # The ink of the dashed truth reaches higher there than the blue of the predicted arm that hangs.
    assert top < left - 0.1 * height


@pytest.mark.parametrize("size", [(1440, 900), PHONE])
def test_a_bad_prediction_is_seen_whole(open_page: Open, size: tuple[int, int]) -> None:
    opened = shown(open_page, size)
    for turns in (0, 8, 15):
        for _ in range(turns):
            opened.page.locator(".viewer canvas").press("ArrowRight")
        _, prediction = places(opened, LARGE)
        assert min(min(side["left"], side["top"]) for side in prediction.values()) > 0.01
        assert max(max(side["right"], side["bottom"]) for side in prediction.values()) < 0.99
    assert not opened.page.locator("[data-part=clipped]").is_visible()


def test_what_is_beyond_all_measure_is_cut_off_and_said(opened: Opened) -> None:
    own, _ = places(opened, ARM)
    truth, _ = places(opened, BROKEN)
    note = opened.page.locator("[data-part=clipped]")
    assert note.is_visible()
    assert "zoom out" in note.inner_text()
    # The truth is no speck beside it.
    height = [found["left"]["bottom"] - found["left"]["top"] for found in (own, truth)]
    assert height[1] > 0.4 * height[0]
    places(opened, ARM)
    assert not note.is_visible()


def test_stills_have_the_same_colours_and_dashes(open_page: Open) -> None:
    opened = open_page(of="poses_file", java_script_enabled=False, color_scheme="light")
    styles = [
        opened.page.locator(place).first.evaluate("""(path) => {
          const { stroke, strokeDasharray } = getComputedStyle(path);
          return [stroke, strokeDasharray];
        }""")
        for place in (".stills .predicted .left", ".stills .predicted .right", ".stills .true .left")
    ]
    assert styles[0] == ["rgb(11, 98, 168)", "none"]
    assert styles[1] == ["rgb(194, 80, 10)", "none"]
    assert styles[2][1] != "none"
    labels = opened.page.locator(".stills .which").all_inner_texts()
    assert [label.partition(":")[0] for label in labels] == ["Of the best model"] * 2
    assert "worst" in labels[0]
    assert "unusual poses" in labels[1]

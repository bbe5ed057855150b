"""A large report in a real browser: Debian's chromium, driven by playwright. Without them these tests are skipped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness.reporting import plots
from harness.reporting.evidence import Evidence
from harness.reporting.page import page
from harness.reporting.rendering import render
from harness.store.store import Store
from tests.browser import figurant, store
from tests.harness.reporting import records

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
#: Screens: width and height in CSS pixels.
DESKTOP, PHONE = (1440, 900), (390, 844)
#: Longer than anything here takes on a slow machine; it is waited for events, never for so long.
PATIENCE_MS = 20_000


@dataclass
class Opened:
    """A page in a browser, and all that it said and asked for while it was there."""

    page: Any
    said: list[str] = field(default_factory=list)
    asked_for: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Any) -> None:
        self.said.append(dialog.message)
        dialog.dismiss()

    @property
    def viewer(self) -> Any:
        return self.page.locator(".viewer")

    def state(self, name: str) -> str:
        """Of the viewer, as it says itself in its data attributes."""
        return str(self.viewer.get_attribute(f"data-{name}"))

    def picture(self) -> str:
        """What is on the viewer's canvas."""
        return str(self.page.evaluate("document.querySelector('.viewer canvas').toDataURL()"))

    def until(self, condition: str) -> None:
        """Wait for a condition on ``state``, the viewer's data attributes."""
        self.page.wait_for_function(
            f"() => {{ const state = document.querySelector('.viewer').dataset; return {condition}; }}"
        )


@pytest.fixture(scope="session")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("store")
    store.fill(folder)
    return Evidence.of(folder, Store(folder).latest())


@pytest.fixture(scope="session")
def page_file(evidence: Evidence) -> Path:
    """report.html alone, without the files of its figures."""
    return _write(evidence, "report.html")


@pytest.fixture(scope="session")
def plain_file(evidence: Evidence) -> Path:
    """The same without figures: quickly there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "PLOTS", ())
        return _write(evidence, "plain.html")


@pytest.fixture(scope="session")
def groups_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several groups, without figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "PLOTS", ())
        return _write(Evidence(tmp_path_factory.mktemp("groups"), records.two_protocols()), "groups.html")


@pytest.fixture(scope="session")
def poses_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page without figures whose viewer shows poses that tell left from right, up from down and near from far."""
    folder = tmp_path_factory.mktemp("poses")
    upright, near = figurant.lifts("left"), figurant.sits()
    excerpts = (
        figurant.excerpt(upright, figurant.lifts("right"), "s1/arm-1"),
        figurant.excerpt(near, near, "s1/leg-1"),
        figurant.excerpt(upright, 1.7 * upright, "s1/large-1", "worst"),
        figurant.excerpt(upright, 9.0 * upright, "s1/broken-1", "worst"),
    )
    store.fill_with(folder, excerpts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "PLOTS", ())
        return _write(Evidence.of(folder, Store(folder).latest()), "poses.html")


def _write(evidence: Evidence, name: str) -> Path:
    written = evidence.folder / name
    written.write_text(render(page(evidence, f"Ten lifters {store.HOSTILE}")), encoding="utf-8")
    return written


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("there is no chromium (Debian: apt-get install chromium)")
    # Chromium's sandbox refuses to work for root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=program, args=arguments)
        yield started
        started.close()


@pytest.fixture
def open_page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Callable[..., Opened]]:
    """Opens the report, or the page ``of`` another fixture; other keywords are those of a browser context, such as
    color_scheme or java_script_enabled.
    """
    contexts = []

    def opened(size: tuple[int, int] = DESKTOP, plain: bool = False, of: str = "", **choices: Any) -> Opened:
        file = request.getfixturevalue(of or ("plain_file" if plain else "page_file"))
        context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **choices)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        found = Opened(context.new_page())
        found.page.on("console", lambda message: found.said.append(message.text))
        found.page.on("pageerror", lambda error: found.said.append(str(error)))
        found.page.on("dialog", found.dismiss)
        found.page.on("request", lambda request: found.asked_for.append(request.url))
        found.page.goto(file.as_uri())
        return found

    yield opened
    for context in contexts:
        context.close()

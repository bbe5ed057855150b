"""The page stands alone, tells the truth about gaps, and is a function of the records."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.errors import CannotWrite
from harness.reporting import plots, report
from tests.harness.reporting import records

REPOSITORY = Path(__file__).resolve().parents[3]
HOSTILE = '"><script>alert(1)</script>--><b> & $x'
TITLE = f"Title {HOSTILE}"
VOID = {"meta", "br", "link", "img", "input", "hr"}


class Page(HTMLParser):
    """Collects the page's elements and text; fails on tags that do not match."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open[-1:]:
            self.text += data


@pytest.fixture(scope="module")
def runs() -> list[dict]:
    models = ("posemamba-s", "posemamba-xs")
    hostile = records.failed("dstformer-lite", 0, "oom", f"out of memory {HOSTILE}")
    hostile["config"]["model"] = HOSTILE
    return [records.record(model, seed) for model in models for seed in range(3)] + [hostile]


@pytest.fixture(scope="module")
def written(runs: list[dict], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report with spaces ☃")
    report.write(runs, folder, title=TITLE)
    return folder


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page((written / "report.html").read_text(encoding="utf-8"))


def test_every_file_is_there_and_nothing_else(written: Path) -> None:
    names = ("accuracy-cost", "accuracy", "per-action", "per-joint", "learning-curves")
    figures = {f"figures/motion-sh-{name}.{kind}" for name in names for kind in ("svg", "png")}
    found = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    assert found == {"report.html", "table.md", "table.csv", *figures}


def test_the_page_needs_nothing_from_elsewhere(page: Page, written: Path) -> None:
    source = (written / "report.html").read_text(encoding="utf-8")
    assert page.tags["script"] == page.tags["link"] == page.tags["img"] == 0
    assert {name for name, _ in page.attributes} & {"src", "onclick", "onload"} == set()
    assert all((value or "").startswith("#") for name, value in page.attributes if name.endswith("href"))
    assert set(re.findall(r"https?://[^\s\"'<]+", source)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "url(http" not in source


def test_what_comes_from_data_is_escaped(page: Page, written: Path) -> None:
    assert "<script" not in (written / "report.html").read_text(encoding="utf-8")
    assert page.tags["b"] == 0
    assert page.text.count(HOSTILE) >= 4


def test_identifiers_on_the_page_are_distinct(page: Page) -> None:
    identifiers = Counter(value for name, value in page.attributes if name == "id")
    assert [identifier for identifier, times in identifiers.items() if times > 1] == []
    references = {value for name, value in page.attributes if name.endswith("href")}
    assert {reference[1:] for reference in references if reference} <= set(identifiers)


def test_the_first_screen_answers(page: Page) -> None:
    assert "posemamba-s has the lowest error: P1 61.4 ± 0.4 mm, 53.9 mm below" in page.text
    assert "posemamba-s is better than posemamba-xs by" in page.text
    assert "6 of 7 runs finished" in page.text
    assert page.tags["svg"] == 5
    assert page.text.index("floor: mean pose") < page.text.index("is better than") < page.text.index("Every run")


def test_every_run_has_its_configuration_and_environment(page: Page, runs: list[dict]) -> None:
    for run in runs:
        assert run["id"] in page.text
    assert page.text.count("recipe.learning_rate") == 6
    assert page.text.count("AMD EPYC 9R14") == 7
    assert page.text.count("uncounted.macs_fvcore.add (elementwise)") == 6
    assert runs[0]["signature"]["long"] in page.text


def test_figures_follow_the_scheme_of_the_page(written: Path) -> None:
    source = (written / "report.html").read_text(encoding="utf-8")
    drawn = source[source.index("<svg") :]
    assert "var(--ink)" in drawn
    assert not any(colour in drawn for colour in ("#1f2328", "#59636e", "#d1d9e0", "#fefefe"))


def test_a_store_of_gaps_gives_a_report(tmp_path: Path) -> None:
    runs = [records.failed("posemamba-s", 0, "interrupted", "Ctrl-C"), records.failed("posemamba-s", 1)]
    written = report.write(runs, tmp_path)
    page = Page(written[0].read_text(encoding="utf-8"))
    assert "No run of this group finished." in page.text
    assert "posemamba-s, seed 0: interrupted: Ctrl-C" in page.text
    assert [path.name for path in written] == ["report.html", "table.md", "table.csv"]


def test_an_empty_store_gives_a_report(tmp_path: Path) -> None:
    page = Page(report.write([], tmp_path)[0].read_text(encoding="utf-8"))
    assert "0 of 0 runs finished" in page.text


def test_a_model_above_the_floors_is_not_praised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "PLOTS", ())
    page = Page(report.write([records.untrained()], tmp_path)[0].read_text(encoding="utf-8"))
    assert "The best floor, 115.3 mm, is no higher: nothing here has learned to lift." in page.text


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(CannotWrite, match=r"cannot write [\d,]+ bytes to .*report\.html"):
        report.write([], tmp_path / "report")


def test_a_broken_write_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (page, *_) = report.write([], tmp_path)
    before = page.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match="No space left"):
        report.write([], tmp_path, title="new")
    assert page.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "table.md", "table.csv"}


def test_a_file_is_put_in_place_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a folder on another device, such as a mounted one, could not be written to."""
    moved: list[tuple[Path, Path]] = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        moved.append((source, target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    report.write([], tmp_path)
    assert len(moved) == 3
    assert all(source.parent == target.parent for source, target in moved)


def test_the_same_bytes_in_another_environment_and_without_torch(
    written: Path, runs: list[dict], tmp_path: Path
) -> None:
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from harness.reporting import report\n"
        "report.write(json.loads(Path('runs.json').read_text()), Path('there'), title=sys.argv[1])\n"
        "assert 'torch' not in sys.modules\n"
    )
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    strange = {"PYTHONHASHSEED": "7", "TZ": "Asia/Kathmandu", "LC_ALL": "C", "LANG": "", "MPLBACKEND": "svg"}
    environment = {**os.environ, **strange, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program, TITLE]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=120)
    there = tmp_path / "there"
    names = sorted(path.relative_to(written) for path in written.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(there) for path in there.rglob("*") if path.is_file())
    for name in names:
        assert (written / name).read_bytes() == (there / name).read_bytes(), name

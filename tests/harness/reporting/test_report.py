"""The page stands alone, tells the truth about gaps, and is a function of the records."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.errors import BadInput, CannotWrite
from harness.reporting import plots, report
from harness.reporting.evidence import Evidence
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
        if self.open[-1:] not in (["style"], ["script"]):
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
    report.write(Evidence(folder, runs), folder, title=TITLE)
    return folder


@pytest.fixture(scope="module")
def page(written: Path) -> Page:
    return Page((written / "report.html").read_text(encoding="utf-8"))


def test_every_file_is_there_and_nothing_else(written: Path) -> None:
    found = {str(path.relative_to(written)) for path in written.rglob("*") if path.is_file()}
    names = {"accuracy-cost", "accuracy", "per-action", "per-joint", "learning-curves"}
    figures = {f"figures/motion-sh-{name}.{kind}" for name in names for kind in ("svg", "png")}
    assert found >= {"report.html", "table.md", "table.tex", "table.csv", *figures}
    known = {f"figures/motion-sh-{plot.name}" for plot in plots.PLOTS}
    assert {name.rpartition(".")[0] for name in found if name.startswith("figures/")} <= known


def test_the_page_needs_nothing_from_elsewhere(page: Page, written: Path) -> None:
    source = (written / "report.html").read_text(encoding="utf-8")
    assert page.tags["img"] == page.tags["iframe"] == 0
    assert {name for name, _ in page.attributes} & {"src", "onclick", "onload"} == set()
    links = [value or "" for name, value in page.attributes if name.endswith("href")]
    assert {link for link in links if not link.startswith("#")} == {"data:,"}
    assert set(re.findall(r"https?://[^\s\"'<]+", source)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "url(http" not in source


def test_what_comes_from_data_is_escaped(page: Page, written: Path) -> None:
    source = (written / "report.html").read_text(encoding="utf-8")
    # The two of the page's own: there are no traces here to show.
    assert source.count("<script") == page.tags["script"] == 2
    assert page.tags["b"] == 0
    assert page.text.count(HOSTILE) >= 4


def test_identifiers_on_the_page_are_distinct(page: Page) -> None:
    identifiers = Counter(value for name, value in page.attributes if name == "id")
    assert [identifier for identifier, times in identifiers.items() if times > 1] == []
    references = {value for name, value in page.attributes if name.endswith("href") and (value or "").startswith("#")}
    assert {reference[1:] for reference in references if reference} <= set(identifiers)


def test_the_first_screen_answers(page: Page) -> None:
    assert "posemamba-s has the lowest error: P1 61.4 ± 0.4\xa0mm" in page.text
    assert "mm better than posemamba-xs" in page.text
    assert "6 of 7" in page.text
    order = ("6 of 7", "has the lowest error", "floor: mean pose", "better than posemamba-xs", "How to reproduce")
    assert sorted(order, key=page.text.index) == list(order)


def test_every_run_has_its_configuration_and_environment(page: Page, runs: list[dict]) -> None:
    for run in runs:
        assert run["id"] in page.text
    assert page.text.count("recipe.learning_rate") == 6
    assert page.text.count("AMD EPYC 9R14") >= 7
    assert page.text.count("uncounted.macs_fvcore.add (elementwise)") == 6
    assert runs[0]["signature"]["long"] in page.text


def test_every_configuration_says_how_to_make_it_again(page: Page) -> None:
    commands = re.findall(r"^\s*(harness run .*)$", page.text, flags=re.MULTILINE)
    assert len(commands) == 3
    assert commands[0].startswith("harness run --model posemamba-s --data motion:../shared/motion --detector sh")
    assert commands[0].endswith("--seed 0 1 2")
    assert shlex.split(commands[2])[3] == HOSTILE


def test_figures_follow_the_scheme_of_the_page(written: Path) -> None:
    source = (written / "report.html").read_text(encoding="utf-8")
    drawn = source[source.index("<svg") : source.rindex("</svg>")]
    assert "var(--ink)" in drawn
    assert not any(colour in drawn for colour in ("#1f2328", "#59636e", "#d1d9e0", "#fefefe"))


def text_of(records: list[dict], folder: Path) -> str:
    return Page(report.write(Evidence(folder, records), folder, ("html",))[0].read_text(encoding="utf-8")).text


def test_a_store_of_gaps_gives_a_report(tmp_path: Path) -> None:
    runs = [records.failed("posemamba-s", 0, "interrupted", "Ctrl-C"), records.failed("posemamba-s", 1)]
    text = text_of(runs, tmp_path)
    assert "No run of this group finished." in text
    assert "Ctrl-C" in text
    assert "harness run --model posemamba-s" in text
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_an_empty_store_gives_a_report(tmp_path: Path) -> None:
    assert "0 of 0 runs finished" in text_of([], tmp_path)


@pytest.mark.usefixtures("_no_figures")
def test_what_is_said_about_the_runs_stands_on_the_page_and_above_the_table(tmp_path: Path) -> None:
    (tmp_path / "about.txt").write_text(f"Ten minutes each {HOSTILE}\n\nNo ranking of architectures.\n")
    report.write(Evidence(tmp_path, records.typical()), tmp_path / "out", ("html", "md"))
    page = Page((tmp_path / "out" / "report.html").read_text())
    assert f"Ten minutes each {HOSTILE}" in page.text
    assert page.text.count("No ranking of architectures.") == 1
    assert page.tags["aside"] == 1
    above, _, _ = (tmp_path / "out" / "table.md").read_text().partition("| model |")
    assert "> No ranking of architectures." in above


def test_groups_are_told_apart(tmp_path: Path) -> None:
    text = text_of(records.two_protocols(), tmp_path)
    assert "These groups differ in: 2d, test set." in text
    assert "2d gt · test set c3c3c3c3c3c3" in text
    assert text.count("has the lowest error") == 2


@pytest.fixture
def _no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "PLOTS", ())


@pytest.mark.parametrize(
    ("formats", "names"),
    [
        (("csv",), ["table.csv"]),
        (("md", "latex", "md"), ["table.md", "table.tex"]),
        ((), []),
        (None, ["report.html", "table.md", "table.tex", "table.csv"]),
    ],
)
@pytest.mark.usefixtures("_no_figures")
def test_only_what_was_asked_for_is_written(tmp_path: Path, formats: tuple[str, ...] | None, names: list[str]) -> None:
    written = report.write(Evidence(tmp_path, [records.record()]), tmp_path / "new", formats)
    assert [path.name for path in written] == names
    assert all(path.is_file() for path in written)


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no such format 'latx'\. Did you mean: latex\? One of: html, md, latex, csv"):
        report.write(Evidence(tmp_path, []), tmp_path / "report", ("csv", "latx"))
    assert not (tmp_path / "report").exists()


def test_a_file_in_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(CannotWrite, match=r"cannot write [\d,]+ bytes to .*report\.html"):
        report.write(Evidence(tmp_path, []), tmp_path / "report")


def test_a_broken_write_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (page, *_) = report.write(Evidence(tmp_path, []), tmp_path)
    before = page.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotWrite, match="No space left"):
        report.write(Evidence(tmp_path, []), tmp_path, title="new")
    assert page.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "table.md", "table.tex", "table.csv"}


def test_a_file_is_put_in_place_from_its_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a folder on another device, such as a mounted one, could not be written to."""
    moved: list[tuple[Path, Path]] = []
    replace = os.replace

    def watched(source: Path, target: Path) -> None:
        moved.append((source, target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watched)
    report.write(Evidence(tmp_path, []), tmp_path)
    assert len(moved) == 4
    assert all(source.parent == target.parent for source, target in moved)


def test_the_same_bytes_in_another_environment_and_without_torch(
    written: Path, runs: list[dict], tmp_path: Path
) -> None:
    program = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from harness.reporting import report\n"
        "from harness.reporting.evidence import Evidence\n"
        "evidence = Evidence(Path(), json.loads(Path('runs.json').read_text()))\n"
        "report.write(evidence, Path('there'), title=sys.argv[1])\n"
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


def test_figures_of_an_earlier_page_do_not_stay_beside_this_one(tmp_path: Path) -> None:
    report.write(Evidence(tmp_path, records.two_protocols()), tmp_path, ("html",))
    (tmp_path / "figures" / "mine.png").write_bytes(b"")
    before = set((tmp_path / "figures").iterdir())
    written = report.write(Evidence(tmp_path, [records.record()]), tmp_path, ("html",))
    figures = {path for path in written if path.parent.name == "figures"}
    assert set((tmp_path / "figures").iterdir()) == figures | {tmp_path / "figures" / "mine.png"} != before

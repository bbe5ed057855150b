"""``harness compare report``, ``runs`` and ``regress`` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.store.store import Store
from tests.harness.cli.command import harness, require_refused
from tests.harness.comparison.entries import Run, shifted, timed
from tests.harness.reporting import records


def stored(folder: Path, runs: list[Run]) -> Path:
    folder.mkdir(exist_ok=True)
    for run in runs:
        Store(folder).append(run)
    return folder


def few() -> list[Run]:
    return [records.record(model, seed) for model in ("posemamba-s", "posemamba-xs") for seed in (0, 1, 2)]


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (["--format", "md"], {"table.md"}),
        (["--format", "md,latex"], {"table.md", "table.tex"}),
        (["--format", "csv", "--format", "latex"], {"table.csv", "table.tex"}),
        (["--format", "csv", "latex"], {"table.csv", "table.tex"}),
    ],
)
def test_formats_by_commas_or_repeated(
    words: list[str], written: set[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = stored(tmp_path / "results", few())
    out = tmp_path / "out"
    code, printed, _ = harness("compare", "report", *words, "--out", out, "--results", results, capsys=capsys)
    assert code == 0
    assert files(out) == written
    assert {Path(line).name for line in printed.splitlines() if line.startswith(str(out))} == written


def test_an_unknown_format_is_named_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = stored(tmp_path / "results", few())
    words = ["compare", "report", "--format", "md,latx", "--results", str(results)]
    require_refused(words, "no such format 'latx'. Did you mean: latex", capsys)
    assert files(results) == {"records.jsonl"}


def test_groups_by_their_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = stored(tmp_path / "results", records.two_protocols())
    words = ["compare", "report", "--format", "md", "--results", str(results), "--group"]
    code, printed, _ = harness(*words, "motion-gt", capsys=capsys)
    assert code == 0
    assert "2d:gt" in printed
    assert "2d:sh" not in printed
    code, printed, _ = harness(*words, "motion-gt", "motion-sh", capsys=capsys)
    assert "2d:gt" in printed
    assert "2d:sh" in printed
    require_refused([*words, "motion-g"], "no group 'motion-g'. Did you mean: motion-gt", capsys)
    require_refused([*words, "x"], "There are: motion-sh, motion-gt", capsys)


def test_a_part_of_a_store_is_reported_as_in_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page and every table: by the same names, and apart from the groups that are left out."""
    runs = records.two_protocols()
    results, out = stored(tmp_path / "results", runs), tmp_path / "out"
    words = ["compare", "report", "--out", out, "--results", results]
    code, printed, _ = harness(*words, runs[-1]["id"], "--format", "md,latex,csv,html", capsys=capsys)
    assert code == 0
    for said in (printed, *((out / name).read_text() for name in ("table.md", "table.tex"))):
        assert "apart from the others by 2d gt, test set c3c3c3c3c3c3" in said
        assert "2d:sh" not in said
    assert (out / "table.csv").read_text().count("motion-gt") == 4
    page = (out / "report.html").read_text()
    assert "Of several groups of the store, which are not ranked against each other, this is: 2d gt · test set" in page
    harness(*words, runs[-1]["id"], "--group", "motion-gt", "--format", "md", capsys=capsys)
    assert "apart from the others by 2d gt" in (out / "table.md").read_text()
    require_refused(
        [*map(str, words), runs[-1]["id"], "--group", "motion-sh"],
        "no group 'motion-sh'. Did you mean: motion-gt",
        capsys,
    )


def test_a_pair_of_configurations_or_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = few()
    results = stored(tmp_path / "results", runs)
    code, printed, _ = harness("compare", "runs", "posemamba-s", runs[3]["id"], "--results", results, capsys=capsys)
    assert code == 0
    assert "A: posemamba-s" in printed
    assert f"B: {runs[3]['id']}" in " ".join(printed.split())
    words = ["compare", "runs", "posemamba-s", "posemamba-xs", "--worth-having", "50", "--json"]
    code, printed, _ = harness(*words, "--results", results, capsys=capsys)
    content = json.loads(printed)
    assert (code, content["worth_having_mm"], len(content["a"]["runs"])) == (0, 50, 3)
    words = ["compare", "runs", "posemamba-s", "posemamba-m", "--results", str(results)]
    require_refused(words, "has no run or configuration 'posemamba-m'. Did you mean: posemamba-s", capsys)


def test_a_pair_of_two_protocols_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [records.record("posemamba-s"), records.record("posemamba-xs", detector="gt")]
    results = stored(tmp_path / "results", runs)
    words = ["compare", "runs", "posemamba-s", "posemamba-xs", "--results", str(results)]
    require_refused(words, "different protocols, which nothing compares: 2d sh against gt", capsys)


@pytest.mark.parametrize(
    ("by_mm", "words", "code"),
    [(0.0, [], 0), (3.0, [], 1), (3.0, ["--worth-having", "3.5"], 0), (-3.0, [], 0)],
)
def test_two_stores_and_the_exit_code_of_accuracy(
    by_mm: float, words: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = stored(tmp_path / "base", few())
    new = stored(tmp_path / "new", [shifted(run, by_mm) for run in few()])
    ended, printed, err = harness("compare", "regress", base, new, *words, capsys=capsys)
    assert (ended, err) == (code, "")
    assert printed.splitlines()[-1].startswith("verdict: WORSE" if code else "verdict: not worse")


def test_speed_of_two_runs_of_one_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base, new = timed(records.record(), 27.0), timed(records.record(), 28.0)
    new["id"], new["config"]["batch_size"] = "new", 9
    results = stored(tmp_path / "results", [base, new])
    words = ["compare", "regress", base["id"], new["id"], "--results", str(results)]
    assert harness(*words, capsys=capsys)[0] == 0
    code, printed, _ = harness(*words, "--tolerated-slowdown", "3", "--json", capsys=capsys)
    assert (code, json.loads(printed)["exit_code"]) == (1, 1)


def test_what_cannot_be_compared_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = stored(tmp_path / "base", [records.record("posemamba-s")])
    new = stored(tmp_path / "new", [records.record("posemamba-xs")])
    code, printed, _ = harness("compare", "regress", base, new, capsys=capsys)
    assert code == 2
    assert printed.splitlines()[-1] == "verdict: CANNOT BE COMPARED: no configuration is in both"
    (tmp_path / "empty").mkdir()
    require_refused(["compare", "regress", str(base), str(tmp_path / "empty")], "nothing is stored yet in", capsys)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = str(stored(tmp_path / "base", few()))
    for words in ([base, f"{base}-typo"], [f"{base}-typo", base], [base, "posemamba-s"]):
        missing = next(word for word in words if word != base)
        require_refused(["compare", "regress", *words], f"there is no folder {missing}", capsys)


def test_a_record_without_configuration_ends_with_2_and_not_as_if_worse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base, new = (stored(tmp_path / name, few()) for name in ("base", "new"))
    path = new / "records.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    del lines[0]["config"]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for words in (["regress", str(base), str(new)], ["report", "--results", str(new)]):
        require_refused(["compare", *words], f"record '{lines[0]['id']}' has no config", capsys)


def test_what_nobody_foresaw_is_no_regression(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("p1_mm")

    base = str(stored(tmp_path / "base", few()))
    monkeypatch.setattr("harness.comparison.regression.of_stores", broken)
    require_refused(["compare", "regress", base, base], "the comparison broke off, so that nothing can be said", capsys)


def test_speed_can_be_required(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = stored(tmp_path / "base", [timed(records.record(), 27.0)])
    new = stored(tmp_path / "new", [timed(records.record(), 27.0, verdict="NOISY")])
    code, printed, _ = harness("compare", "regress", base, new, capsys=capsys)
    assert code == 0
    assert printed.splitlines()[-1].endswith("speed not judged (NOISY timings: posemamba-xs)")
    assert harness("compare", "regress", base, new, "--require-speed", capsys=capsys)[0] == 2


def test_groups_of_a_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [records.record(model) for model in ("posemamba-s", "posemamba-xs")]
    others = [records.record(model) for model in ("posemamba-s", "posemamba-xs")]
    for run in others:
        run["id"], run["data"]["digest_test"] = f"{run['id']}-other", "d4" * 32
    results = stored(tmp_path / "results", [*runs, *others])
    for command in ("runs", "regress"):
        words = ["compare", command, "posemamba-xs", "posemamba-s", "--results", str(results)]
        require_refused(words, "--group (one of: motion-sh, motion-sh--2)", capsys)
        assert harness(*words, "--group", "motion-sh--2", capsys=capsys)[0] == 0

"""What a reader and a program are told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from harness.doctor import report
from harness.doctor.finding import Finding

FINE = Finding("scan", "chunked", "ok", "equals the definition", "the scan anywhere")
LACKING = Finding("scan", "native", "missing", "it was not built", "the fast scan", "build it")
DAMAGED = Finding("clock", "steady", "broken", "they disagree", "budgets")
STOPPING = Finding("clock", "forwards", "broken", "it went back", "no duration is negative", "mend it", stops=True)


def test_a_part_is_named_once_and_only_trouble_is_explained() -> None:
    assert report.lines(FINE, None) == ["scan", "  ok      chunked                 equals the definition"]
    assert report.lines(LACKING, FINE) == [
        "  missing native                  it was not built",
        "          it is for: the fast scan",
        "          remedy: build it",
    ]
    assert report.lines(DAMAGED, LACKING) == [
        "",
        "clock",
        "  broken  steady                  they disagree",
        "          it is for: budgets",
    ]


def test_the_verdict() -> None:
    assert report.verdict([FINE]) == "The harness runs here."
    assert report.verdict([FINE, LACKING, DAMAGED]) == (
        "The harness runs here. Missing, and not needed: native. Broken, and not needed: steady."
    )
    assert report.verdict([LACKING, STOPPING]) == (
        "The harness does not run rightly here until this is mended: clock: forwards."
    )


def test_json_says_first_whether_it_runs() -> None:
    for findings, runs in (([FINE, LACKING, DAMAGED], True), ([FINE, STOPPING], False)):
        told = json.loads(report.as_json(findings, Path("größer")))
        assert (told["runs"], told["results"]) == (runs, "größer")
        assert [Finding(**one) for one in told["findings"]] == findings


def test_a_folder_whose_name_is_in_another_encoding() -> None:
    odd = replace(FINE, found="gr\udcf6\x1b")
    assert report.lines(odd, FINE) == ["  ok      chunked                 gr\\udcf6\\x1b"]
    assert json.loads(report.as_json([odd], Path("gr\udcf6")).encode())["results"] == "gr\udcf6"

"""Tables and the figure, from records alone."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from matplotlib.figure import Figure

from harness.classification import plot, table
from harness.errors import BadInput
from harness.store.classification import CLASSIFICATIONS


def record(model: str = "mamba3d-xs", overall: float = 80.0, seed: int = 0, **changes: Any) -> dict[str, Any]:
    config = {"model": model, "options": {}, "points": 512, "seed": seed, "budget": {"seconds": 180.0, "steps": None}}
    by_points = [
        {"points": points, "macs_fvcore": 10**6, "flops_exact": 2000 * points, "latency_ms": points / 100,
         "verdict": "STABLE", "peak_memory_bytes": 2**20}
        for points in (256, 1024)
    ]  # fmt: skip
    made = {
        "schema": 1,
        "id": f"{model}-s{seed}",
        "status": "ok",
        "seed": seed,
        "config": config,
        "signature": "OA|data:shapes|points:512|test:800|sample:area|norm:ball|votes:1|v:1",
        "data": {"name": "shapes", "digest_test": "d"},
        "accuracy": {
            "overall_percent": overall, "low_percent": overall - 3, "high_percent": overall + 3,
            "class_mean_percent": overall - 1,
        },
        "floors": {"majority": {"overall_percent": 10.0, "class_mean_percent": 10.0},
                   "linear": {"overall_percent": 70.0, "class_mean_percent": 69.5}},
        "cost": {
            "params_total": 198_531, "params_thop": 180_000, "macs_thop": 10**8, "macs_fvcore": 2 * 10**8,
            "flops_exact": 4 * 10**8, "latency_ms": 5.25, "verdict": "STABLE", "train_clouds_per_s": 120.0,
            "by_points": by_points,
        },
        "warnings": [],
    }  # fmt: skip
    return {**made, **changes}


def failed(model: str) -> dict[str, Any]:
    kept = {key: value for key, value in record(model).items() if key in ("schema", "id", "config", "seed", "data")}
    return {**kept, "status": "oom", "error": "out of memory"}


def test_the_made_records_are_of_the_schema() -> None:
    CLASSIFICATIONS.validate(record())
    CLASSIFICATIONS.validate(failed("mamba3d"))


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


def test_the_best_is_first_and_floors_and_gaps_are_there() -> None:
    text = table.text([record("pointabm-xs", 75.0), record("mamba3d-xs", 80.0), failed("mamba3d")])
    found = lines(text)
    assert found[0].startswith("OA|data:shapes|points:512")
    first = [line.split()[0] for line in found[4:9]]
    assert first == ["mamba3d-xs", "pointabm-xs", "mamba3d", "floor:", "floor:"]
    assert "80.0 77.0–83.0 79.0 199 k 180 k 100 M 200 M 400 M" in " ".join(found[4].split())
    assert "floor: linear" in found[7]
    assert "mamba3d, seed 0: oom: out of memory" in text


def test_seeds_are_one_row_with_their_spread() -> None:
    text = table.text([record(overall=overall, seed=seed) for seed, overall in enumerate((79.0, 80.0, 81.0))], False)
    (row,) = [line for line in lines(text) if line.startswith("mamba3d-xs")]
    assert " ".join(row.split()).startswith("mamba3d-xs 512 3 80.0 ± 1.0 79.0")


def test_other_test_clouds_are_another_table() -> None:
    other = record("pointabm-xs", data={"name": "shapes", "digest_test": "e"})
    assert len(table.groups([record(), other])) == 2


def test_another_protocol_is_another_table() -> None:
    old, gap = record("pointabm-xs", signature="OA|v:0"), failed("mamba3d")
    found = {group.protocol: len(group.entries) for group in table.groups([gap, old, record()])}
    # What was not scored stands beside the last.
    assert found == {"OA|v:0": 1, record()["signature"]: 2}


def test_the_interval_of_two_seeds_holds_those_of_both() -> None:
    text = table.text([record(overall=overall, seed=seed) for seed, overall in enumerate((70.0, 80.0))], False)
    (row,) = [line for line in lines(text) if line.startswith("mamba3d-xs")]
    assert " ".join(row.split()).startswith("mamba3d-xs 512 2 75.0 67.0–83.0 74.0")


def test_where_cost_was_measured_sets_no_configurations_apart() -> None:
    other = record(seed=1)
    other["config"] = {**other["config"], "cost_points": [64]}
    (entry,) = table.groups([record(), other])[0].entries
    assert (entry.label, len(entry.runs)) == ("mamba3d-xs", 2)


def test_what_sets_two_configurations_apart_is_named() -> None:
    longer = record(overall=85.0)
    longer["config"] = {**longer["config"], "budget": {"seconds": 600.0, "steps": None}}
    labels = [entry.label for entry in table.groups([record(), longer])[0].entries]
    assert labels == ["mamba3d-xs (budget=600 seconds)", "mamba3d-xs (budget=180 seconds)"]


def test_growth_is_said_in_words() -> None:
    text = " ".join(table.text([record()]).split())
    assert "operations growing, times 4.00 from 256 to 1024 points (P^1.00)" in text
    assert "memory not growing, times 1.00" in text
    assert table.growth([{"points": 256, "x": 1.0}], "x") is None
    noisy = [
        {"points": 256, "latency_ms": 4.0, "verdict": "STABLE"},
        {"points": 512, "latency_ms": 1, "verdict": "NOISY"},
    ]
    assert table.growth(noisy, "latency_ms") == "shrinking, times 0.25 from 256 to 512 points (P^-2.00, NOISY)"


def test_noise_is_beside_the_figure() -> None:
    noisy = record()
    noisy["cost"]["verdict"] = "NOISY"
    assert "5.25 NOISY" in table.text([noisy])


def test_csv_has_raw_figures_of_every_run() -> None:
    rows = list(csv.DictReader(io.StringIO(table.csv([record(), failed("mamba3d")]))))
    assert [row["status"] for row in rows] == ["ok", "oom"]
    assert rows[0]["cost.params_total"] == "198531"
    assert rows[1]["accuracy.overall_percent"] == ""


def test_markdown_says_what_its_columns_mean() -> None:
    assert "thop: parameters that thop sees" in table.markdown([record()])


def test_the_figure_is_the_same_bytes_for_the_same_records() -> None:
    records, said = [record("pointabm-xs", 75.0), record()], list[str]()
    drawn = plot.draw(records, said.append)
    assert set(drawn) == {"classification.svg", "classification.png"}
    assert drawn == plot.draw(records, said.append)
    assert plot.draw([failed("mamba3d")], said.append) == {}
    assert said == []
    other = "OA|data:modelnet40|points:512"
    records += [failed("mamba3d"), record(signature=other, data={"name": "modelnet40", "digest_test": "e"})]
    assert plot.draw(records, said.append)["classification.svg"]
    (line,) = said
    assert line == f"the figure is of {record()['signature']}; not in it: {other}, mamba3d"


def test_the_figure_names_its_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    titles: list[str] = []
    monkeypatch.setattr(Figure, "suptitle", lambda _self, text, **_: titles.append(text))
    plot.draw([record()], lambda line: None)
    assert titles == [record()["signature"]]


@pytest.mark.parametrize("missing", ["signature", "data"])
def test_accuracy_without_its_protocol_is_refused(missing: str) -> None:
    with pytest.raises(BadInput, match="without signature and data"):
        CLASSIFICATIONS.validate({key: value for key, value in record().items() if key != missing})

"""``harness plot`` writes the same bytes for the same rows, keeps conditions apart, and says what is missing."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from harness.errors import BadInput
from harness.reporting import cost_plots
from harness.reporting.cost_plots import ALL, KINDS, Stored
from harness.reporting.figure import to_svg
from harness.store.measurement import MEASUREMENTS
from harness.store.store import Store
from tests.harness.complexity import rows
from tests.harness.reporting import records
from tests.harness.reporting.cost_figures import layout, printed

REPOSITORY = Path(__file__).resolve().parents[3]
SHORT = (81, 243, 729)


#: Two lifters are enough for what is not about looks.
TWO = {name: rows.LAWS[name] for name in ("posemamba-s", "motionbert")}


def whole_store() -> Stored:
    return Stored(rows.survey(TWO, SHORT, samples=8), [records.record("posemamba-s")], printed.typical())


def digests(paths: list[Path]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(paths)}


def test_the_same_rows_give_the_same_bytes_in_any_process(tmp_path: Path) -> None:
    script = (
        "import sys, pathlib\n"
        "from harness.reporting import cost_plots\n"
        "from tests.harness.reporting.test_cost_plots import whole_store\n"
        "cost_plots.write('all', whole_store(), pathlib.Path(sys.argv[1]))\n"
        "assert 'torch' not in sys.modules\n"
    )
    with mpl.rc_context({"font.size": 20, "axes.prop_cycle": mpl.cycler(color=["red"])}):
        here = cost_plots.write(ALL, whole_store(), tmp_path / "here")
    environment = {**os.environ, "PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    command = [sys.executable, "-c", script, str(tmp_path / "there")]
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, timeout=120)
    there = list((tmp_path / "there").iterdir())
    assert sorted(digests(here)) == sorted(f"{kind}.{suffix}" for kind in KINDS for suffix in ("png", "svg"))
    assert digests(here) == digests(there)


def test_the_order_of_rows_does_not_matter() -> None:
    made = rows.survey({"posemamba-s": rows.LAWS["posemamba-s"]}, SHORT, samples=8)
    forth, back = (cost_plots.figures("memory", Stored(list(order)))["memory"] for order in (made, reversed(made)))
    assert layout.texts(forth) == layout.texts(back)


def test_conditions_and_machines_are_figures_of_their_own() -> None:
    law = {"posemamba-s": rows.LAWS["posemamba-s"]}
    made = [
        *rows.survey(law, SHORT, samples=8),
        *rows.survey(law, SHORT, samples=8, precision="bf16"),
        *rows.survey(law, SHORT, samples=8, batch=4, batch_asked="auto"),
    ]
    found = cost_plots.figures("complexity", Stored(made))
    assert sorted(found) == ["complexity--batch-1-bf16", "complexity--batch-1-fp32", "complexity--batch-auto-fp32"]
    assert "bf16, cpu" in layout.words(found["complexity--batch-1-bf16"])
    assert "The largest batch that ran" in layout.words(found["complexity--batch-auto-fp32"])
    # Alone in its figure, it needs no more than its name.
    assert "posemamba-s (" not in layout.words(found["complexity--batch-1-fp32"])
    other = {**rows.ENVIRONMENT, "processor": "another"}
    machines = [*rows.survey(law, SHORT, samples=8), *rows.survey(law, SHORT, samples=8, environment=other)]
    assert len(cost_plots.figures("memory", Stored(machines))) == 2
    assert len(cost_plots.figures("roofline", Stored(machines))) == 2


def test_memory_that_was_never_seen_is_no_figure_and_takes_none_with_it() -> None:
    made = rows.survey(TWO, SHORT, samples=8)
    for row in made:
        if "memory" in row:
            row["memory"]["peak_bytes"] = 0
    with pytest.raises(BadInput, match="has no measurement of memory"):
        cost_plots.figures("memory", Stored(made))
    said: list[str] = []
    assert sorted(cost_plots.figures(ALL, Stored(made), say=said.append)) == ["complexity", "roofline"]
    assert any(line.startswith("no figure memory") for line in said)


def test_a_set_without_figures_leaves_the_name_of_the_other_alone() -> None:
    assert list(cost_plots.figures("complexity", Stored(rows.typical()))) == ["complexity"]


def test_models_alone(tmp_path: Path) -> None:
    stored = whole_store()
    said = layout.words(cost_plots.figures("complexity", stored, models=["posemamba-s", "motionbert"])["complexity"])
    assert "motionbert" in said
    assert "posemamba-s" in said
    assert "posemamba-s" not in layout.words(cost_plots.figures("memory", stored, models=["motionbert"])["memory"])
    assert "mixste" not in layout.words(cost_plots.figures("published", stored, models=("posemamba-s",))["published"])
    assert cost_plots.figures("roofline", stored, models=["motionbert"])
    with pytest.raises(BadInput, match=r"nothing of 'posemaba-s'\. Did you mean: posemamba-s"):
        cost_plots.write("complexity", stored, tmp_path, models=["posemaba-s"])


@pytest.mark.parametrize(
    ("kind", "stored", "command"),
    [
        ("complexity", Stored(), "harness measure"),
        ("memory", Stored([rows.out_of_memory()]), "harness measure"),
        ("roofline", Stored(), "has no peaks of the machine; .*harness measure"),
        ("roofline", Stored([rows.machine()]), "time of each kind of work; .*harness measure"),
        ("accuracy-cost", Stored(runs=[records.failed()]), "harness run"),
        ("published", Stored(), "harness compare published"),
        (ALL, Stored(), "harness measure"),
    ],
)
def test_what_is_missing_is_said_with_the_command_that_makes_it(
    kind: str, stored: Stored, command: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=command):
        cost_plots.write(kind, stored, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_kind_has_its_neighbours_named() -> None:
    with pytest.raises(BadInput, match="Did you mean: roofline"):
        cost_plots.figures("rofline", Stored())


def test_a_length_is_for_roofline_and_runs() -> None:
    stored = whole_store()
    with pytest.raises(BadInput, match="--frames"):
        cost_plots.figures("complexity", stored, frames=81)
    with pytest.raises(BadInput, match="no finished run at T = 81"):
        cost_plots.figures("accuracy-cost", stored, frames=81)
    assert cost_plots.figures("accuracy-cost", stored, frames=27)


def test_all_says_what_it_leaves_out() -> None:
    said: list[str] = []
    found = cost_plots.figures(ALL, Stored(published=printed.typical()), say=said.append)
    assert list(found) == ["published"]
    assert [line.split(":")[0] for line in said] == [f"no figure {kind}" for kind in KINDS if kind != "published"]


def fill(folder: Path) -> None:
    store = Store(folder, MEASUREMENTS)
    for row in rows.survey({"posemamba-s": rows.LAWS["posemamba-s"]}, (81,), samples=8):
        store.append(row)
    Store(folder).append(records.record("posemamba-s"))
    (folder / cost_plots.PUBLISHED).write_text(json.dumps(printed.typical()), encoding="utf-8")


def test_a_folder_is_read_as_it_lies(tmp_path: Path) -> None:
    fill(tmp_path)
    found = cost_plots.stored(tmp_path)
    assert [len(part) for part in (found.measurements, found.runs, found.published)] == [5, 1, 6]
    assert cost_plots.stored(tmp_path / "empty").measurements == []


@pytest.mark.parametrize("content", ["{", "{}", '[{"model": "mixste"}]', "[1]"])
def test_a_damaged_table_of_published_figures_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / cost_plots.PUBLISHED).write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match="harness compare published"):
        cost_plots.stored(tmp_path)


def test_a_dollar_sign_in_a_name_is_no_formula() -> None:
    law: dict[str, Any] = {"package:costs $5^{ or $6": rows.LAWS["posemamba-s"]}
    for kind in ("memory", "roofline"):
        (figure,) = cost_plots.figures(kind, Stored(rows.survey(law, (81, 243), samples=8))).values()
        assert to_svg(figure)

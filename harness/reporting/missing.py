"""What a group of runs does not show, and why: runs that did not finish, too few seeds, figures without their data."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from harness import published
from harness.comparison.group import SEEDS_FOR_SPREAD, Entry, Group
from harness.published import Row
from harness.reporting.cost_figures.matches import inference_options
from harness.reporting.evidence import Evidence
from harness.store.schema import STATUSES, look_up


@dataclass(frozen=True)
class Gap:
    """A run that did not finish."""

    title: str
    seed: int | None
    status: str
    meaning: str
    error: str


def gaps(group: Group) -> list[Gap]:
    """In the order of the ranking."""
    return [
        Gap(entry.title, run.get("seed"), run["status"], STATUSES[run["status"]], run.get("error") or "")
        for entry in group.entries
        for run in entry.gaps
    ]


def damaged(group: Group, evidence: Evidence) -> list[str]:
    """What is wrong with files of the group's runs that were asked for: a sentence each."""
    runs = (run for entry in group.entries for run in entry.runs)
    paths = dict.fromkeys(str(look_up(run, "traces.path")) for run in runs)
    return [evidence.damaged[path] for path in paths if path in evidence.damaged]


def shortfalls(group: Group, drawn: Collection[str], has_viewer: bool, broken: Collection[str] = ()) -> list[str]:
    """What is thin or not there, a sentence each; ``drawn`` are the names of the figures that could be drawn, and
    ``broken`` what is wrong with files that could have told more.
    """
    if not group.scored:
        return []
    found = [
        f"{entry.title}: {len(entry.runs)} seed{'s' * (len(entry.runs) > 1)}, too few to say how much another training "
        "would change."
        for entry in group.scored
        if len(entry.runs) < SEEDS_FOR_SPREAD
    ]
    if not group.floors:
        found.append("No floors: there were no training sequences to make the guesses from that need no network.")
    found += broken
    if not has_viewer and not broken:
        found.append(
            "Worst sequences, error over time: no poses of single sequences lie beside these runs. They are kept by "
            "harness run and harness evaluate, in the results folder."
        )
    found += [f"{what}: {why}" for name, (what, why) in _FIGURES.items() if name not in drawn]
    if "published" not in drawn:
        found.append(f"Published against counted cost: {_why_not_published(group)}")
    return found


def _why_not_published(group: Group) -> str:
    """Figures may be published, but of other networks than those that ran here."""
    models = {entry.model: entry for entry in group.scored}
    others = [said for entry in models.values() if (said := _published_at(entry))]
    if not others:
        return "no sizes or counts of these models are published."
    return f"what is published is of other networks than those that ran: {'; '.join(others)}."


def _published_at(entry: Entry) -> str:
    """For which T and options costs of a model are printed, and for which it ran; empty where none are."""
    rows = [row for row in published.of(entry.model) if row.figure("parameters") or row.figure("compute")]
    if not rows:
        return ""
    options = dict(inference_options(entry.any_run["config"]))
    same = [row for row in rows if dict(row.options) == options]
    if not same:
        return f"{entry.model} {_options(options)} here, {_all_options(rows)} there"
    frames = sorted({row.frames for row in same if row.frames is not None})
    return f"{entry.model} at T = {entry.frames} here, at {', '.join(map(str, frames)) or 'a T not stated'} there"


def _all_options(rows: Iterable[Row]) -> str:
    return " or ".join(dict.fromkeys(_options(dict(row.options)) for row in rows))


def _options(options: dict[str, object]) -> str:
    return (
        f"with {', '.join(f'{name} = {value}' for name, value in options.items())}"
        if options
        else "as it is by default"
    )


#: Figure -> what it shows, and why there is none.
_FIGURES = {
    "accuracy-cost": ("Accuracy against cost", "no operations were counted."),
    "per-action": ("Error by action", "the runs have none."),
    "per-joint": ("Error by joint", "the runs have none."),
    "distribution": ("Distribution of errors", "these runs are from before it was recorded."),
    "learning-curves": ("Learning curves", "the weights were not trained in these runs."),
    "growth": (
        "Growth of cost with T",
        "there is one T, and no measurements lie beside the runs; harness measure makes them.",
    ),
}

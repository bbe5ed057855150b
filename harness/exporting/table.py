"""The flat tables that stored records are exported as, and which part of a record each of them holds.

A record is a tree; a table has one row for every match of a part of it: the table of records one for each record, that
of sequences one for every entry of ``accuracy.per_sequence[]``, and so on. Every field of a schema is in exactly one
table, so that nothing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.errors import BadInput, suggestion
from harness.store.classification import CLASSIFICATIONS
from harness.store.measurement import MEASUREMENTS
from harness.store.record import RUNS
from harness.store.schema import TEXT, WHOLE, Schema

#: The table of whole records, which has every field that no other table has.
RECORDS = "records"


@dataclass(frozen=True)
class Table:
    """One table. ``meaning`` says what a row is.

    ``parts`` leads from a path of the schema, whose ``*`` and ``[]`` tell the rows apart, to what comes before the
    names of the fields below it: ``""`` leaves them as they are. ``keys`` are the columns of what stands for each
    ``*`` and ``[]``; one without a name is left out.
    """

    name: str
    meaning: str
    parts: Mapping[str, str]
    keys: tuple[str, ...] = ()

    def part(self, path: str) -> str | None:
        """The one of ``parts`` that a field of the schema lies in, or None if this table does not hold it."""
        return next((part for part in self.parts if path == part or path.startswith(part + ".") or not part), None)


@dataclass(frozen=True)
class Kind:
    """What is stored in one file: its schema and its tables, that of whole records first.

    ``labels`` are columns that stand at the head of the other tables, with the kind of their values.
    """

    name: str
    schema: Schema
    meaning: str
    labels: Mapping[str, str]
    tables: tuple[Table, ...]

    def table(self, name: str) -> Table:
        """Raises BadInput for a name that there is not."""
        tables = {table.name: table for table in self.tables}
        if name not in tables:
            known = f"{suggestion(name, tables)}One of: {', '.join(tables)}"
            raise BadInput(f"{self.name} have no table {name!r}. {known}")
        return tables[name]

    def holder(self, path: str) -> Table:
        """The table that holds a field of the schema."""
        others = [table for table in self.tables[1:] if table.part(path) is not None]
        return others[0] if others else self.tables[0]


def _counted(above: str) -> tuple[Table, Table]:
    """The tables of a count of operations, which stands at ``above`` in a record."""
    return (
        Table(
            "kinds",
            "one kind of work by one convention of counting: its part of a forward's count, and of a training step's",
            {f"{above}.by_kind.*.*": "count", f"{above}.training_step.by_kind.*.*": "training_step"},
            ("convention", "kind"),
        ),
        Table(
            "operators",
            "one operator by one convention: its part of the count, or how many calls of it the convention leaves out",
            {f"{above}.by_operator.*.*": "count", f"{above}.uncounted.*.*": "uncounted_calls"},
            ("convention", "operator"),
        ),
    )


_PROCESSES = Table(
    "processes", "a stretch of a training that so many processes shared", {"training.processes[]": ""}, ("",)
)
_CURVE = Table("curve", "a point of the learning curve", {"training.curve[]": ""}, ("",))

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "runs",
            RUNS,
            "trainings and evaluations of lifters: harness run, harness evaluate",
            {"id": TEXT, "config.model": TEXT, "config.frames": WHOLE, "seed": WHOLE},
            (
                Table(RECORDS, "a run", {"": ""}),
                Table("sequences", "a test sequence of a run", {"accuracy.per_sequence[]": ""}, ("",)),
                Table("actions", "an action of a run", {"accuracy.per_action.*": ""}, ("action",)),
                Table("joints", "a joint of a run", {"accuracy.per_joint.*": ""}, ("joint",)),
                Table(
                    "distribution",
                    "a bin of a run's errors, from bin · accuracy.distribution.bin_mm on",
                    {
                        "accuracy.distribution.joint_share[]": "joint_share",
                        "accuracy.distribution.frame_share[]": "frame_share",
                    },
                    ("bin",),
                ),
                Table("floors", "a guess that needs no network, on a run's frames", {"floors.*": ""}, ("floor",)),
                _CURVE,
                _PROCESSES,
                *_counted("cost"),
            ),
        ),
        Kind(
            "measurements",
            MEASUREMENTS,
            "costs of lifters, a row for each process that measured: harness measure",
            {"id": TEXT, "point.model": TEXT, "point.frames": WHOLE, "point_key": TEXT, "pass": TEXT, "round": WHOLE},
            (
                Table(RECORDS, "what one process measured", {"": ""}),
                Table("samples", "a timed block of forwards", {"timing.samples_ms[]": "ms"}, ("sample",)),
                Table("profile", "a kind of work in one forward, as it was timed", {"kinds.*": ""}, ("kind",)),
                *_counted("counts"),
            ),
        ),
        Kind(
            "classifications",
            CLASSIFICATIONS,
            "trainings of classifiers of point clouds: harness classify",
            {"id": TEXT, "config.model": TEXT, "config.points": WHOLE, "seed": WHOLE},
            (
                Table(RECORDS, "a run", {"": ""}),
                Table("classes", "a class of a run's test clouds", {"accuracy.per_class.*": ""}, ("class",)),
                Table(
                    "confusion",
                    "a pair of classes, as numbers into data.classes",
                    {"accuracy.confusion[][]": "clouds"},
                    ("class", "prediction"),
                ),
                Table("floors", "a guess that needs no network, on a run's clouds", {"floors.*": ""}, ("floor",)),
                Table("sizes", "the cost of a cloud of P points", {"cost.by_points[]": ""}, ("",)),
                _CURVE,
                *_counted("cost"),
            ),
        ),
    )
}


def kind(name: str) -> Kind:
    """What is stored under a name. Raises BadInput for one that there is not."""
    if name not in KINDS:
        raise BadInput(f"nothing is stored as {name!r}. {suggestion(name, KINDS)}One of: {', '.join(KINDS)}")
    return KINDS[name]

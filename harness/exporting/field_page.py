"""docs/records.md: what is stored, for a reader without our code. A function of the schemas alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.data.skeleton import JOINT_NAMES
from harness.exporting.table import Kind
from harness.store.measurement import PASSES
from harness.store.schema import ANYTHING, NUMBER, STATUSES, TEXT, WHOLE, YES_NO

_OPENING = """\
# Records

Everything that this project measures is stored as text that needs none of its code: one JSON object a line (UTF-8,
[JSON Lines](https://jsonlines.org)), one file for each kind of record, in the results folder. A line is never changed.
**A later line replaces an earlier one of the same `id`.** `null`, or no entry at all, means not known or not
applicable. Numbers are finite. A line that ends in `#torn` was cut short by a power failure or a kill, and counts for
nothing. `harness export jsonl` writes the newest line of every `id` alone, without torn ones.

Below, `[]` stands after what there is a list of, and `*` for names that depend on the record, such as those of actions.

This page is the output of `harness export schema`. The same as a JSON Schema (draft 2020-12), for validators:
`harness export schema --format json --what {whats}`.
"""

_READING = """\
## Reading them

pandas, a row for each run and a column for each path:

```python
import json, pandas

whole = [line for line in open("records.jsonl", encoding="utf-8") if line.endswith("}\\n")]
runs = pandas.json_normalize(list(map(json.loads, whole))).drop_duplicates("id", keep="last").set_index("id")
```

Plain Python:

```python
import json

whole = [line for line in open("records.jsonl", encoding="utf-8") if line.endswith("}\\n")]
newest = {record["id"]: record for record in map(json.loads, whole)}
errors_mm = {name: record["accuracy"]["p1_mm"] for name, record in newest.items() if record["status"] == "ok"}
```

R and jq, of a file without torn lines (`harness export jsonl --out records.jsonl`):

```r
lines <- jsonlite::stream_in(file("records.jsonl"), verbose = FALSE)
runs <- jsonlite::flatten(lines[!duplicated(lines$id, fromLast = TRUE), ])
aggregate(accuracy.p1_mm ~ config.model, runs, mean)
```

```sh
jq -rs 'group_by(.id) | map(last)[] | select(.status == "ok") | [.id, .accuracy.p1_mm] | @tsv' records.jsonl
```

Flat tables instead, with a row for each record or for each of its entries, a type for each column and the paths below
as names:

```sh
harness export csv --out runs.csv                            # a row for each run
harness export csv --table sequences --out sequences.csv     # a row for each test sequence of each run
harness export parquet --what measurements --table samples --out samples.parquet
```

Numbers in CSV have all their digits, null is nothing between two commas, and an empty text is `""`. pandas takes a
column of whole numbers with gaps for fractions, and the text `NA` for null, where it is not told better:
`pandas.read_csv("runs.csv", dtype_backend="numpy_nullable", keep_default_na=False, na_values=[""])`; before pandas 3
also `float_precision="round_trip"`, for the last digit. Parquet keeps the types by itself. A list that has no table of
its own (`warnings`), and an entry of free form with values of several kinds, is JSON text.
"""

#: Name -> shape and type, meaning; of N sequences and E excerpts.
TRACE_ARRAYS: Mapping[str, tuple[str, str]] = {
    "sequence": ("(N,) text", "name of every test sequence"),
    "take": ("(N,) text", "its take"),
    "action": ("(N,) text", "its action"),
    "step_s": ("(N,) float64", "seconds that one value of its error curve is the mean of"),
    "curve_end": ("(N,) int64", "where the curve of each ends in `curve_p1_mm`, in which they follow one another"),
    "curve_p1_mm": ("(values,) float32", "P1 over time; NaN where nothing was scored"),
    "excerpt": ("(E,) int64", "number of the sequence, from 0, that some poses are kept of"),
    "excerpt_reason": (
        "(E,) text",
        "`unusual`: the poses farthest from the mean pose; `worst`: the largest error of this run in other takes",
    ),
    "start_s": ("(E,) float64", "when in the sequence the excerpt begins"),
    "fps": ("(E,) float64", "poses a second"),
    "excerpt_end": ("(E,) int64", "where each ends in `truth` and `prediction`"),
    "unit_mm": ("() float64", "what `truth` and `prediction` are multiples of"),
    "truth": ("(poses, 17, 3) int16", "true joints less the pelvis, x right, y down, z away; -32768: none"),
    "prediction": ("(poses, 17, 3) int16", "the same as the lifter puts it"),
}

_TRACES = """\
## The traces of a run

`traces.path` names a numpy archive (`.npz`, a zip of `.npy` arrays without pickles) with the error of every test
sequence over time and some poses. The joints are, in this order: {joints}.

```python
import numpy

traces = numpy.load("traces.npz")
first_curve_mm = traces["curve_p1_mm"][: traces["curve_end"][0]]
first_truth_mm = traces["truth"][: traces["excerpt_end"][0]] * traces["unit_mm"]
```
"""

_KINDS: Mapping[str, str] = {
    TEXT: "text",
    WHOLE: "whole number",
    NUMBER: "number",
    YES_NO: "true or false",
    ANYTHING: "any JSON",
}


def field_page(kinds: Sequence[Kind]) -> str:
    """The page on ``kinds``, as Markdown."""
    sections = [
        _OPENING.format(whats="|".join(kind.name for kind in kinds)),
        _READING,
        _statuses(),
        *(section for kind in kinds for section in (_heading(kind), _fields(kind), _tables(kind))),
    ]
    if any(kind.name == "runs" for kind in kinds):
        sections += [_TRACES.format(joints=", ".join(JOINT_NAMES)), _arrays()]
    return "\n".join(sections)


def _statuses() -> str:
    return "## Statuses\n\n" + _table(("status", "meaning"), [(f"`{name}`", text) for name, text in STATUSES.items()])


def _heading(kind: Kind) -> str:
    required = ", ".join(f"`{path}`" for path in kind.schema.required)
    needs = " and ".join(f"`{path}`" for path in kind.schema.accuracy_needs)
    sentences = [
        f"{kind.meaning[0].upper()}{kind.meaning[1:]}.",
        f"Version {kind.schema.version} of the schema.",
        f"Always there: {required}; and `error` where the status is not `ok`.",
        *([f"Where there is `accuracy`, there are {needs}."] if needs else []),
    ]
    lines = [f"## {kind.schema.file_name}", "", " ".join(sentences)]
    return "\n".join([*lines, *(_passes() if kind.name == "measurements" else []), ""])


def _passes() -> list[str]:
    return ["", *(f"* pass `{name}`: {meaning}" for name, meaning in PASSES.items())]


def _fields(kind: Kind) -> str:
    rows = [(f"`{path}`", _KINDS[value_kind], meaning) for path, (value_kind, meaning) in kind.schema.fields.items()]
    return _table(("path", "kind", "meaning"), rows)


def _tables(kind: Kind) -> str:
    rows = []
    for table in kind.tables:
        held = [f"`{part}`" for part in table.parts if part] or ["all that no other table holds"]
        rows.append((f"`{table.name}`", table.meaning, ", ".join(held)))
    head = f"Tables of `harness export csv --what {kind.name} --table NAME`; the others start with "
    labels = ", ".join(f"`{name}`" for name in kind.labels)
    return f"{head}{labels}.\n\n" + _table(("table", "a row is", "of"), rows)


def _arrays() -> str:
    rows = [(f"`{name}`", shape, meaning) for name, (shape, meaning) in TRACE_ARRAYS.items()]
    return _table(("array", "of N sequences, E excerpts", "meaning"), rows)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A pipe table; a bar in a cell is escaped."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)

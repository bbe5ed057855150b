"""Points, their keys, and the axes that they come from."""

from __future__ import annotations

import json
from typing import Any

from harness.measurement.point import Axes, Point, points

PUBLISHED: dict[str, dict[str, Any]] = {
    "attentive": {"in_channels": 2, "attention": "sdpa"},
    "scanning": {"in_channels": 3, "scan_backend": "auto"},
    "package.module:build": {"in_channels": 3},
}


def test_a_key_is_of_the_values_and_of_nothing_else() -> None:
    point = Point("m", 27, options={"b": 1, "a": (3, 3)})
    assert point.key() == Point("m", 27, options={"a": [3, 3], "b": 1}).key()
    assert point.key() != Point("m", 27, options={"a": [3, 3], "b": 2}).key()
    assert len({Point("m", 27, threads=threads).key() for threads in (1, 2)}) == 2
    assert len(point.key()) == 16


def test_a_key_is_the_same_in_every_process() -> None:
    assert Point("posemamba-xs", 27, 2).key() == "87253fce80e8c52d"


def test_the_batch_found_is_no_part_of_an_automatic_points_key() -> None:
    point = Point("m", 27, batch=None, batch_asked="auto")
    assert point.of_batch(64).key() == point.key()
    assert point.of_batch(64) != point
    assert Point("m", 27, batch=64, batch_asked="64").key() != point.key()


def test_a_row_gives_its_point_back() -> None:
    point = Point("m", 81, 3, {"sizes": (1, 2)}, 4, "4", "cuda", 1, "bf16", True)
    stored = json.loads(json.dumps({"point": point.as_dict()}))
    assert Point.from_row(stored).key() == point.key()
    assert hash(Point.from_row(stored)) == hash(point)


def test_axes_multiply_and_a_point_comes_once() -> None:
    axes = Axes(["attentive", "attentive"], [9, 27], threads=[1, 2], batches=["1", "auto"])
    found = points(axes, PUBLISHED.__getitem__)
    assert len(found) == 8
    assert {(point.batch, point.batch_asked) for point in found} == {(1, "1"), (None, "auto")}


def test_a_batch_is_a_number_however_it_is_written() -> None:
    found = points(Axes(["attentive"], [27], batches=["1", "01", "auto"]), PUBLISHED.__getitem__)
    assert [(point.batch, point.batch_asked) for point in found] == [(1, "1"), (None, "auto")]


def test_option_axes_are_taken_by_the_models_that_have_them() -> None:
    axes = Axes(list(PUBLISHED), [27], attention=["sdpa", "explicit"], scan_backends=["native"], options={"dim": 8})
    found = points(axes, PUBLISHED.__getitem__)
    assert [(point.model, dict(point.options), point.in_channels) for point in found] == [
        ("attentive", {"dim": 8, "attention": "sdpa"}, 2),
        ("attentive", {"dim": 8, "attention": "explicit"}, 2),
        ("scanning", {"dim": 8, "scan_backend": "native"}, 3),
        ("package.module:build", {"dim": 8}, 3),
    ]
    assert {point.in_channels for point in points(Axes(["scanning"], [9], 2), PUBLISHED.__getitem__)} == {2}


def test_a_point_says_what_is_not_usual() -> None:
    assert Point("m", 27, threads=1).name() == "m T=27 B=1 cpu 1 thread"
    unusual = Point("m", 27, options={"attention": "explicit"}, batch=None, batch_asked="auto", precision="bf16")
    assert unusual.name() == "m T=27 B=auto attention=explicit bf16 cpu 2 threads"

from __future__ import annotations

from harness.exporting.match import leaves, matches, named_in, spelled, tokens

RECORD = {
    "name": "a",
    "actions": {"walk": {"mm": 1.5}, "run": {"mm": None}, "sit": None},
    "grid": [[1, 2], [], [3]],
    "config": {"model": "m", "precision": "fp32"},
}


def test_plain_paths_lead_to_their_value_and_null_to_nothing() -> None:
    assert list(matches(RECORD, tokens("name"), {})) == [((), "a")]
    assert list(matches(RECORD, tokens("missing.below"), {})) == []
    assert list(matches(RECORD, tokens("actions.run.mm"), {})) == []


def test_wildcards_are_in_the_key() -> None:
    assert list(matches(RECORD, tokens("actions.*.mm"), {})) == [(("walk",), 1.5)]
    assert list(matches(RECORD, tokens("grid[][]"), {})) == [((0, 0), 1), ((0, 1), 2), ((2, 0), 3)]


def test_a_star_leaves_out_the_names_that_the_schema_spells_out() -> None:
    named = named_in(["config.*", "config.precision"])
    assert list(matches(RECORD, tokens("config.*"), named)) == [(("model",), "m")]
    assert list(matches(RECORD, tokens("config.precision"), named)) == [((), "fp32")]


def test_leaves_of_a_tree() -> None:
    tree = {"a": {"b": 1, "none": None}, "list": [1, {"x": 2}], "empty": {}}
    assert list(leaves(tree)) == [(("a", "b"), 1), (("list",), [1, {"x": 2}])]
    assert list(leaves(7)) == [((), 7)]


def test_no_two_paths_are_spelled_alike() -> None:
    assert spelled(tokens("floors.*.p1_mm"), ("linear",)) == "floors.linear.p1_mm"
    assert spelled(tokens("config.*"), ("a",), ("b",)) == "config.a.b"
    assert spelled(tokens("config.*"), ("a.b",)) == 'config."a.b"'
    assert spelled(tokens("config.*"), ('"a', 'b"')[:1]) == 'config."\\"a"'

from __future__ import annotations

import pytest

from harness.errors import BadInput
from harness.exporting.match import tokens
from harness.exporting.table import KINDS, Kind, kind


@pytest.mark.parametrize("stored", KINDS.values(), ids=KINDS)
def test_every_field_is_in_exactly_one_table(stored: Kind) -> None:
    for path in stored.schema.fields:
        holders = [table.name for table in stored.tables[1:] if table.part(path) is not None]
        assert len(holders) <= 1, f"{path} is in {holders}"
        assert stored.tables[0].part(path) == "", f"the table of records cannot hold {path}"


@pytest.mark.parametrize("stored", KINDS.values(), ids=KINDS)
def test_every_part_is_one_of_the_schema_and_has_a_key_for_each_wildcard(stored: Kind) -> None:
    for table in stored.tables[1:]:
        for part in table.parts:
            assert any(path == part or path.startswith(part + ".") for path in stored.schema.fields), part
            assert len(table.keys) == sum(token in ("*", "[]") for token in tokens(part)), part


@pytest.mark.parametrize("stored", KINDS.values(), ids=KINDS)
def test_every_list_of_objects_has_a_table(stored: Kind) -> None:
    for path in stored.schema.fields:
        if "[]." in path:
            assert stored.holder(path) is not stored.tables[0], f"{path} would be JSON text"


def test_a_table_or_kind_that_there_is_not_is_refused_with_what_there_is() -> None:
    with pytest.raises(BadInput, match=r"runs have no table 'sequence'. Did you mean: sequences.*curve"):
        kind("runs").table("sequence")
    with pytest.raises(BadInput, match=r"nothing is stored as 'run'. Did you mean: runs"):
        kind("run")

"""A sheet as Parquet, with the schema's meanings as metadata of its columns."""

from __future__ import annotations

import io
from importlib.util import find_spec

from harness.errors import BadInput
from harness.exporting.sheet import Sheet
from harness.printable import encodable
from harness.store.schema import NUMBER, TEXT, WHOLE, YES_NO


def require_available() -> None:
    """Raises BadInput where pyarrow is missing."""
    if find_spec("pyarrow") is None:
        raise BadInput("writing Parquet needs pyarrow: pip install pyarrow (or pip install '.[parquet]' in the clone)")


def parquet_file(sheet: Sheet) -> bytes:
    """The whole file. Raises BadInput where pyarrow is missing."""
    require_available()
    import pyarrow
    from pyarrow import parquet

    types = {TEXT: pyarrow.string(), WHOLE: pyarrow.int64(), NUMBER: pyarrow.float64(), YES_NO: pyarrow.bool_()}
    fields = [
        pyarrow.field(
            encodable(column.name),
            types[column.kind],
            metadata={"meaning": column.meaning} if column.meaning else None,
        )
        for column in sheet.columns
    ]
    arrays = [pyarrow.array([row[place] for row in sheet.rows], type=field.type) for place, field in enumerate(fields)]
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table(arrays, schema=pyarrow.schema(fields)), buffer)
    return buffer.getvalue()

"""What happens to a file: bits flip, ends are lost, parts are moved, and somebody writes what should not be there."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

#: Numbers, names and marks that a text file's reader may not expect where they come.
HOSTILE_WORDS = (
    "999999999", "-1", "0", "2.5", "1e308", "-1e308", "1e999", "nan", "inf", "9" * 5000, "0x10", "", "\x00", "\u0663",
    "{", "}", "{ {", "x" * 3000, "../../etc/passwd", "<script>", "\x1b[2J", "\n", ":", "#", "\ud7ff",
    "gr\udcf6",
)  # fmt: skip
_WORDS = re.compile(r"(\s+)")


def damaged(whole: bytes) -> SearchStrategy[bytes]:
    """``whole`` with a few bytes or stretches of it flipped, lost, moved or repeated."""
    return _damaged(whole)


@st.composite
def _damaged(draw: DrawFn, whole: bytes) -> bytes:
    content = whole
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, max(len(content) - 1, 0)))
        stop = min(start + draw(st.sampled_from((1, 2, 4, 8, 64, 4096))), len(content))
        kind = draw(st.sampled_from(("flip", "cut", "lose", "repeat", "put", "zero")))
        part = content[start:stop]
        if kind == "flip":
            part = bytes([part[0] ^ (1 << draw(st.integers(0, 7)))]) + part[1:] if part else part
        elif kind == "cut":
            stop, part = len(content), b""
        elif kind == "lose":
            part = b""
        elif kind == "repeat":
            part *= draw(st.integers(2, 5))
        elif kind == "put":
            part = draw(st.binary(max_size=16))
        else:
            part = bytes(len(part))
        content = content[:start] + part + content[stop:]
    return content


def rewritten(text: str, words: Sequence[str] = ()) -> SearchStrategy[bytes]:
    """``text`` with a few of its words replaced by hostile ones or others of it, left out or put elsewhere."""
    return _rewritten(text, (*HOSTILE_WORDS, *words))


@st.composite
def _rewritten(draw: DrawFn, text: str, words: Sequence[str]) -> bytes:
    parts = _WORDS.split(text)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(parts) - 1))
        word = draw(st.sampled_from(words) | st.sampled_from(parts))
        kind = draw(st.sampled_from(("replace", "put", "lose", "repeat line")))
        if kind == "replace":
            parts[place] = word
        elif kind == "put":
            parts[place:place] = [" ", word, " "]
        elif kind == "lose":
            del parts[place : place + draw(st.integers(1, 6))]
            parts = parts or [""]
        else:
            parts[place:place] = parts[place : place + 12] * draw(st.integers(1, 3))
    return "".join(parts).encode("utf-8", "surrogatepass")


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A sound zip of these members, whatever they hold."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


@st.composite
def damaged_zip(draw: DrawFn, members: Mapping[str, bytes]) -> bytes:
    """A zip with one member damaged and its checksum right, or damaged as a whole."""
    name = draw(st.sampled_from(sorted(members)))
    changed = {**members, name: draw(damaged(members[name]))}
    if draw(st.booleans()):
        changed[draw(st.sampled_from((name, "../" + name, "/" + name, "C:" + name, "new")))] = changed.pop(name)
    whole = zipped(changed)
    return draw(damaged(whole)) if draw(st.integers(0, 4)) == 0 else whole


def unzipped(whole: bytes) -> dict[str, bytes]:
    """Members of a zip by name."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}

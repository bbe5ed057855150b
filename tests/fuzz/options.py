"""What a user writes after ``-o``."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from harness import models, options
from tests.fuzz.damage import HOSTILE_WORDS

_MODEL = "posemamba-xs"
SOUND = b"dim=8\0depth=1"


def pairs() -> SearchStrategy[bytes]:
    names = st.sampled_from(("dim", "depth", "drop_path", "frames", "no", "")) | st.text(max_size=5)
    values = st.sampled_from((*HOSTILE_WORDS, "none", "true", "8", "(1,2")) | st.text(max_size=8)
    pair = st.tuples(names, st.sampled_from(("=", "", "==")), values).map("".join)
    return st.lists(pair, max_size=3).map(lambda all_pairs: "\0".join(all_pairs).encode("utf-8", "surrogatepass"))


def read_options(content: bytes, folder: Path) -> None:
    given = options.split(content.decode("utf-8", "surrogatepass").split("\0"))
    models.configure(_MODEL, 27, 3, given)

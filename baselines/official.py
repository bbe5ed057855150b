"""What the authors of a published lifter call its options and parameters, brought to our names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from torch import Tensor

from baselines.options import require_known


def complete_options(
    given: Mapping[str, Any], defaults: Mapping[str, Any], *, required: Collection[str] = ()
) -> dict[str, Any]:
    """The authors' options, with the authors' own defaults where nothing is given.

    Raises ValueError for an option that is neither required nor has a default, and for a required one that is missing.
    """
    known = (*required, *defaults)
    for name in given:
        require_known("option", name, known)
    missing = [name for name in required if name not in given]
    if missing:
        raise ValueError(f"missing option: {', '.join(missing)}")
    return {**defaults, **given}


def rename(state: Mapping[str, Tensor], parameters: Iterable[str], words: Mapping[str, str]) -> dict[str, Tensor]:
    """An official checkpoint's entries under our names.

    ``parameters`` are our names, all that there are. Theirs follow word by word between the dots: ``words`` maps ours
    to theirs where they differ, also several words at once ("head.norm"), of which the longest that fit are taken. An
    entry that is no parameter of ours stays as it is, so that the loader can report it.
    """
    longest_first = sorted(words, key=len, reverse=True)
    whole_words = re.compile("|".join(rf"(?<![^.]){re.escape(word)}(?![^.])" for word in longest_first) or r"(?!)")
    ours = {whole_words.sub(lambda match: words[match[0]], name): name for name in parameters}
    return {ours.get(name, name): value for name, value in state.items()}

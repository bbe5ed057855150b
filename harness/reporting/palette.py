"""Colours, markers and dashes of the figures, and which of them a lifter is drawn with.

Colours are those of seaborn's palette for colour-blind readers. Lifters of one family share a hue and differ in its
lightness, the larger the darker; markers and dashes carry the same information, so that a figure survives grey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import seaborn as sns
from matplotlib.colors import to_hex, to_rgb

from harness.models import MODELS

#: Text, quieter text, lines, background. No other colour of a figure equals one of them, so that the report can tell
#: them apart and let them follow its light or dark scheme.
INK, MUTED, LINE, PAPER = "#1f2328", "#59636e", "#d1d9e0", "#fefefe"
#: Blue, vermilion, green, purple, orange, sky blue, brown, grey: neighbours far apart in hue and lightness. seaborn's
#: pink and yellow are left out: a line in them is hardly seen on white.
COLOURS: tuple[str, ...] = tuple(sns.color_palette("colorblind").as_hex()[index] for index in (0, 3, 2, 4, 1, 9, 5, 7))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "h")
DASHES: tuple[Any, ...] = (
    "-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)),
    (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (2, 2)), (0, (6, 1, 2, 1)),
)  # fmt: skip
#: How far the darkest member of a family goes towards black, and the lightest towards white.
_DARKEST, _LIGHTEST = 0.42, 0.30
#: Contrast with white of a family's darkest and lightest member where they must be seen on black, too: there it is
#: about 19 divided by this.
_MOST_CONTRAST, _LEAST_CONTRAST = 5.8, 2.6
#: How dark writing in a family's colour is: enough of it to be read at 8 points.
_WRITING = 0.35


@dataclass(frozen=True)
class Look:
    """How one lifter is drawn; ``writing`` is the colour of text about it."""

    colour: str
    writing: str
    marker: str
    dashes: Any


def family(model: str) -> str:
    """What a model is a size of: the module of its registry entry, or that of ``package.module:attribute``."""
    if model in MODELS:
        return MODELS[model].module.rpartition(".")[2]
    return model.partition(":")[0]


def looks(members: Sequence[tuple[str, str, float]], *, on_dark_too: bool = False) -> dict[str, Look]:
    """A look for each (label, model, size), by label; independent of the order they come in.

    ``on_dark_too`` keeps all colours apart from black paper as well as from white, and writes in INK, which follows
    the scheme of the page. Its dashes differ among eight, whatever their families.
    """
    families: dict[str, list[tuple[float, str]]] = {}
    for label, model, size in members:
        families.setdefault(family(model), []).append((-size, label))
    hues = _hues(sorted(families))
    found: dict[str, Look] = {}
    for name in sorted(families, key=_rank):
        ordered = sorted(families[name])
        for index, (_, label) in enumerate(ordered):
            shade = _shade_between if on_dark_too else _shade
            writing = INK if on_dark_too else _blend(hues[name], "black", _WRITING)
            place = len(found)
            # In the page, lines of different families lie in one panel and must differ in grey, too.
            marker, dashes = MARKERS[place % len(MARKERS)], DASHES[(place if on_dark_too else index) % len(DASHES)]
            found[label] = Look(shade(hues[name], index, len(ordered)), writing, marker, dashes)
    return found


def _hues(families: Sequence[str]) -> Mapping[str, str]:
    """The same colour for a family in every figure, as far as no other of the figure has it already.

    Where there are more families than colours, those that are alike in kind, and so may share a panel, differ.
    """
    hues: dict[str, str] = {}
    for name in sorted(families, key=_rank):
        preferred = COLOURS[_rank(name)[0] % len(COLOURS)]
        free = [colour for colour in COLOURS if colour not in hues.values()]
        if free:
            hues[name] = preferred if preferred in free else free[0]
            continue
        of_kin = [hue for other, hue in hues.items() if _kind(other) == _kind(name)]
        others = [colour for colour in COLOURS if colour not in of_kin] or list(COLOURS)
        used = Counter(hues.values())
        # The last of the least used, since the first are of those that are in most figures.
        hues[name] = min(reversed(others), key=lambda colour: used[colour])
    return hues


def _kind(name: str) -> tuple[str, str] | None:
    """What a family's lifters are and for which frames they answer; None of strangers."""
    return next(
        ((entry.kind, entry.answers) for entry in MODELS.values() if entry.module.rpartition(".")[2] == name), None
    )


def _rank(name: str) -> tuple[int, str]:
    """Place of a family in the registry; strangers come last."""
    known = list(dict.fromkeys(entry.module.rpartition(".")[2] for entry in MODELS.values()))
    return (known.index(name) if name in known else len(known), name)


def _shade(colour: str, index: int, count: int) -> str:
    if count == 1:
        return colour
    # From the darkest at 0 to the lightest at 1; the hue itself lies between.
    place = index / (count - 1) * (_DARKEST + _LIGHTEST) - _DARKEST
    return _blend(colour, "white" if place > 0 else "black", abs(place))


def _shade_between(colour: str, index: int, count: int) -> str:
    """As ``_shade``, in steps of equal contrast with white between _MOST_CONTRAST and _LEAST_CONTRAST."""
    if count == 1:
        return colour
    wanted = _MOST_CONTRAST * (_LEAST_CONTRAST / _MOST_CONTRAST) ** (index / (count - 1))
    other = "black" if contrast_with_white(colour) < wanted else "white"
    low, high = 0.0, 1.0
    for _ in range(24):
        middle = (low + high) / 2
        near = contrast_with_white(_blend(colour, other, middle)) < wanted
        low, high = (middle, high) if near == (other == "black") else (low, middle)
    return _blend(colour, other, low)


def contrast_with_white(colour: str) -> float:
    """Ratio of WCAG 2, from 1 for white to 21 for black."""
    return 1.05 / (float(sns.utils.relative_luminance(colour)) + 0.05)


def _blend(colour: str, other: str, share: float) -> str:
    red, green, blue = ((1 - share) * one + share * two for one, two in zip(to_rgb(colour), to_rgb(other), strict=True))
    return to_hex((red, green, blue))

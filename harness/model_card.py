"""One model on a page of text: its configuration and contract, our counts, and what others published about it."""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from harness import contract, models, published
from harness.contract import Contract
from harness.data.skeleton import LEFT, RIGHT
from harness.measurement import counts
from harness.models import ClassifierEntry, ModelEntry
from harness.quantity import prefixed
from harness.training.recipes import recipe

WIDTH = 120

_ANSWERS = {
    "every": "every frame of the clip: (B, T, 17, C) -> (B, T, 17, 3)",
    "centre": "the frame in the middle: (B, T, 17, C) -> (B, 1, 17, 3), so that scoring takes one window a frame",
    "last": "the last frame: (B, T, 17, C) -> (B, 1, 17, 3), so that scoring takes one window a frame",
}
_OTHER_FRAMES = {
    "none": "none: one set of weights serves one T; build it again for another",
    "fewer": "fewer: one set of weights serves clips of up to T frames",
    "any": "any: one set of weights serves clips of any length",
    "more": "more: one answer for each position of a longer clip",
}
_SPACES = {
    "camera": "metres in camera space, relative to the pelvis",
    "image": "the 2.5-D image space of MotionBERT's reader, relative to the pelvis",
}
_ROOTS = {
    "zeroed": "set to the true one, as here",
    "predicted": "left as predicted, and its error counts (here it is set to the true one)",
}


#: The conventions on the page; ``harness count`` shows all.
_SHOWN = ("macs_thop", "macs_fvcore", "flops_exact")


def card(
    name: str, frames: int | None = None, in_channels: int | None = None, options: Mapping[str, Any] | None = None
) -> str:
    """The page of registered model ``name`` at ``frames`` and ``in_channels`` (None: as published) with ``options``.

    Raises BadInput for an unknown model or option.
    """
    model: Any = models.build(name, frames, in_channels, **(options or {}))
    entry, config = models.registered(name), model.config
    lines = [f"{name}: {entry.kind}, {entry.year}, {entry.paper}", *([f"  {entry.note}"] if entry.note else []), ""]
    lines += _section("configuration", _configuration(config))
    if reading := models.reading(name):
        lines += _section("our reading: what is inferred, and from what", reading.items())
    of_model = _of_lifter(entry, model) if isinstance(entry, ModelEntry) else _of_classifier(entry, model)
    return "\n".join([*lines, *of_model]).rstrip()


def _of_lifter(entry: ModelEntry, model: Any) -> list[str]:
    config = model.config
    counted = counts.count(model, config.frames, config.in_channels, training=False)
    lines = _section("contract", _contract(contract.of(model), contract.streams(model), entry.recipe is not None))
    lines += _section(f"our counts, one clip of T = {config.frames}, {config.in_channels} channels", _counts(counted))
    lines += _section("recipe of the authors", _recipe(entry.recipe))
    return lines + _published(entry)


def _of_classifier(entry: ClassifierEntry, model: Any) -> list[str]:
    points = model.config.points
    counted = counts.count_on(model, (points, 3), training=False)
    takes = "(B, P, 3) -> (B, classes): any P from patches and patch_points on, in the unit ball"
    lines = _section("contract", [("answers for", takes), ("trained by", "harness classify")])
    lines += _section(f"our counts, one cloud of {points} points", _counts(counted))
    return lines + _section("published", [("", text) for text in entry.published or ("nothing on file",)])


def _section(heading: str, rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max((len(label) for label, _ in rows), default=0)
    lines = [heading]
    for label, text in rows:
        indent = " " * (width + 4)
        lines += textwrap.wrap(f"  {label:{width}}  {text}", WIDTH, subsequent_indent=indent, break_long_words=False)
    return [*lines, ""]


def _configuration(config: Any) -> list[tuple[str, str]]:
    return [(field.name, str(getattr(config, field.name))) for field in dataclasses.fields(config)]


def _contract(stated: Contract, streams: bool, published: bool) -> list[tuple[str, str]]:
    rows = [
        ("answers for", _ANSWERS[stated.answers_for]),
        ("other clips", _OTHER_FRAMES[stated.other_frames]),
        ("input", "x, y over half the image width, from -1 to 1 across; as a third channel the confidence"),
        *(_of_authors(stated) if published else []),
        ("flip pairs", f"left {', '.join(map(str, LEFT))}; right {', '.join(map(str, RIGHT))}; x changes sign"),
    ]
    if streams:
        rows.append(("stream", "step(frame (B, 17, C), state) -> (pose (B, 17, 3), state), at a constant cost a frame"))
    if stated.published_scoring == "centre":
        rows.append(("authors score", "the frame in the middle alone: --windows sliding does the same"))
    if stated.auxiliary:
        rows.append(("auxiliary", "poses of all frames as a second output, which takes part in the training loss"))
    return rows


def _of_authors(stated: Contract) -> list[tuple[str, str]]:
    return [
        ("trained on", f"{_SPACES[stated.target_space]} (the authors' training)"),
        ("pelvis", f"at the authors' test {_ROOTS[stated.published_root]}"),
    ]


def _counts(counted: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = sorted(counted["by_kind"]["macs_fvcore"].items(), key=lambda item: -item[1])
    not_counted = sorted({name.partition(" (")[0] for name in counted["uncounted"]["macs_fvcore"]})
    per_frame = counted.get("per_frame", {})
    figures = {
        name: prefixed(counted[name]) + (f", {prefixed(per_frame[name])} a frame" if per_frame else "")
        for name in _SHOWN
    }
    return [
        ("parameters", f"{counted['params_total']:,}; {counted['params_thop']:,} as thop counts them"),
        *((name, f"{figures[name]}: {counts.CONVENTIONS[name]}") for name in _SHOWN),
        ("of macs_fvcore", ", ".join(f"{name} {prefixed(macs)}" for name, macs in parts if macs)),
        ("not counted", ", ".join(not_counted)),
    ]


def _recipe(name: str | None) -> list[tuple[str, str]]:
    if name is None:
        return [("none", "none is published for it; --recipe common")]
    chosen = recipe(name)
    steps = f"{chosen.optimizer}, {chosen.learning_rate:g}, {chosen.batch_size} clips a step, {chosen.epochs} epochs"
    return [(f"--recipe {name}", f"{steps}; {chosen.source}")]


def _published(entry: ModelEntry) -> list[str]:
    """Figures by every name under which the same network is registered, and the sources that they cite."""
    same = [
        name for name, other in models.MODELS.items() if (other.module, other.preset) == (entry.module, entry.preset)
    ]
    rows = [row for name in same for row in published.of(name)]
    sources = {row.source.key: row.source for row in rows}
    lines = ["published"] + ["  nothing on file"] * (not rows)
    for text in [*map(str, rows), *(f"[{key}] {source}" for key, source in sources.items())]:
        lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)
    return lines

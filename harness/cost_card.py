"""What a lifter costs on a page of text: every convention beside the others, and where the work lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness import models, options
from harness.measurement import counts
from harness.measurement.counts import BY_KIND, CONVENTIONS
from harness.measurement.kind import KINDS
from harness.quantity import prefixed
from harness.reporting.grid import Grid, Heading, wrapped

#: Of the uncounted operators these many are named in the text; the JSON has all.
_NAMED = 12


def count(
    name: str, frames: int | None = None, in_channels: int | None = None, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The counts of lifter ``name`` (registered, or ``package.module:attribute``) with the options ``given``.

    ``frames`` and ``in_channels`` None are as published; a third party's lifter without a configuration takes what
    it was built for. A registered classifier of point clouds is counted on one cloud of its ``points``. Raises BadInput
    for an unknown model or option.
    """
    model: Any = models.build(name, frames, in_channels, **(given or {}))
    config = getattr(model, "config", None)
    if name in models.CLASSIFIERS:
        asked = {"model": name, "options": options.guess(given or {}), "points": model.config.points}
        return {**asked, **counts.count_on(model, (model.config.points, 3))}
    shape = (
        frames or int(getattr(config, "frames", models.THIRD_PARTY_FRAMES)),
        in_channels or int(getattr(config, "in_channels", models.THIRD_PARTY_CHANNELS)),
    )
    asked = {"model": name, "options": options.guess(given or {})}
    return {**asked, **counts.count(model, *shape)}


def text(name: str, counted: Mapping[str, Any]) -> str:
    """What ``count`` gave for lifter ``name``, for a terminal of 120 columns."""
    sections = [_conventions(name, counted), _kinds(counted)]
    lines = [line for entry in _remarks(counted) for line in wrapped(entry, later="  ")]
    return "\n\n".join([*(section.to_text() for section in sections), "\n".join(lines)])


def _conventions(model: str, counted: Mapping[str, Any]) -> Grid:
    given = " ".join(f"{option}={value}" for option, value in counted["options"].items())
    of_clips = "frames" in counted
    clip = f"one cloud of {counted['points']} points" if not of_clips else (
        f"one clip of T = {counted['frames']}, {counted['in_channels']} channels, {_answers(counted)}"
    )  # fmt: skip
    headings = (
        Heading("convention", number=False),
        Heading("clip" if of_clips else "cloud"),
        *([Heading("per frame")] * of_clips),
        Heading("what it counts", number=False),
    )
    cells = tuple(
        (name, f"{counted[name]:,}", *([prefixed(counted["per_frame"][name])] if of_clips else []), meaning)
        for name, meaning in CONVENTIONS.items()
        if counted[name] or name != "flops_9bldn"
    )
    return Grid(f"{' '.join(filter(None, (model, given)))}: {clip}", headings, cells)


def _answers(counted: Mapping[str, Any]) -> str:
    number = counted["output_frames"]
    return f"answers for {number} {'frame' if number == 1 else 'frames'}"


def _kinds(counted: Mapping[str, Any]) -> Grid:
    """Where the work lies: a row for each kind that some convention has something of."""
    exact = counted["flops_exact"]
    headings = (
        Heading("kind of work", number=False),
        *(Heading(name) for name in BY_KIND),
        Heading("of flops_exact"),
    )
    cells = tuple(
        (kind, *(prefixed(count) if count else "0" for count in counts_of), _share(counts_of[-1], exact))
        for kind in KINDS
        if any(counts_of := [counted["by_kind"][name][kind] for name in BY_KIND])
    )
    return Grid("By kind of work", headings, cells, tuple(f"{kind}: {KINDS[kind]}" for kind, *_ in cells))


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else ""


def _remarks(counted: Mapping[str, Any]) -> list[str]:
    unseen = ", ".join(f"{number:,} of {owner}" for owner, number in counted["unseen_by_thop"].items())
    without = f"; not among the latter: {unseen}" if unseen else ""
    remarks = [
        f"parameters: {counted['params_total']:,} in all, {counted['params_thop']:,} by thop{without}",
        f"memory traffic: {prefixed(counted['bytes'])}B, each operator's tensors read and written once",
        *_training(counted["training_step"], counted),
        f"operators by macs_fvcore: {_largest(counted['by_operator']['macs_fvcore'])}",
        f"operators by flops_exact: {_largest(counted['by_operator']['flops_exact'])}",
    ]
    remarks += [f"not in {name}: {_uncounted(calls)}" for name, calls in counted["uncounted"].items()]
    if doubts := counts.without_formula(counted):
        remarks.append(f"no formula: {', '.join(doubts)}; whatever they do is missing from the figures")
    on = {where for where in counted["counted_on"].values() if where.startswith(("cpu", "real"))}
    return [*remarks, *(f"counted on: {where}" for where in sorted(on))]


def _training(step: Mapping[str, Any] | None, counted: Mapping[str, Any]) -> list[str]:
    if step is None:
        return [f"no training step: {counted['no_training_step']}"] if "no_training_step" in counted else []
    figures = ", ".join(
        f"{name} {prefixed(step[name])} ({step[name] / counted[name]:.2f} x the forward)"
        for name in ("flops_torch", "flops_exact")
        if counted[name]
    )
    return [f"training step: {figures}; {step['what']}", *_dense_gradients(step["by_kind"])]


def _dense_gradients(by_kind: Mapping[str, Mapping[str, int]]) -> list[str]:
    """torch's formula for the gradient of a convolution's kernel leaves the groups out."""
    torch_flops, exact = (by_kind[name]["convolution"] for name in ("flops_torch", "flops_exact"))
    if torch_flops <= exact:
        return []
    return [
        f"of a training step's flops_torch, {prefixed(torch_flops)} are convolutions: torch's counter takes the"
        f" gradient of a grouped one for that of a dense one; flops_exact has {prefixed(exact)}"
    ]


def _largest(by_operator: Mapping[str, int]) -> str:
    """The largest first, the small ones as a number of them."""
    ordered = sorted(((count, name) for name, count in by_operator.items() if count), key=lambda one: (-one[0], one[1]))
    named = [f"{name.removeprefix('aten::')} {prefixed(count)}" for count, name in ordered[:_NAMED]]
    return ", ".join([*named, *([f"{len(ordered) - _NAMED} more"] if len(ordered) > _NAMED else [])]) or "none"


def _uncounted(calls: Mapping[str, int]) -> str:
    """``elementwise: add x 12, gelu x 3; selection: topk x 1``: why first, then what and how often."""
    by_reason: dict[str, list[str]] = {}
    for entry, number in calls.items():
        name, _, reason = entry.removesuffix(")").partition(" (")
        by_reason.setdefault(reason, []).append(f"{name.removeprefix('aten::')} x {number}")
    return "; ".join(f"{reason}: {', '.join(names)}" for reason, names in sorted(by_reason.items())) or "nothing"

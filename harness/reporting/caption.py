"""What stands below a figure of measured costs: how it was measured and on what, what to doubt, and what is missing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from harness.complexity.summary import Summary
from harness.measurement.point import AUTO
from harness.measurement.samples import INVALID, NOISY
from harness.reporting import placement
from harness.reporting.palette import MUTED

#: Points of text, and of a line of it.
SIZE, LINE_HEIGHT = 8.0, 11.0
_MARGIN = 10.0
#: Longest list of points that a caption spells out, and the longest reason.
_MOST_NAMED, _LONGEST_REASON = 12, 110
#: Commits that a caption names; of more it has the number.
_MOST_COMMITS = 2
#: Settings of harness.measurement.timing.Protocol for a round, said where they are not the same for all.
_OF_ROUNDS: Mapping[str, str] = {
    "min_samples": "samples a round, at least",
    "min_seconds": "seconds a round, at least",
    "max_seconds": "seconds a round, at most",
}
#: How a status is said of points that are not there.
_ENDED: Mapping[str, str] = {
    "oom": "Out of memory",
    "unsupported": "Not possible",
    "timeout": "Stopped for taking too long",
    "failed": "Failed",
    "interrupted": "Interrupted",
}


def height(lines: Sequence[str]) -> float:
    """Inches that a caption of ``lines`` takes at the bottom of its figure."""
    return (len(lines) * LINE_HEIGHT + 1.8 * _MARGIN) / 72


def write(figure: Figure, title: str, lines: Sequence[str]) -> None:
    """Title at the top and caption at the bottom of ``figure``, from its left edge on."""
    wide, high = figure.get_size_inches() * 72
    figure.text(_MARGIN / wide, 1 - _MARGIN / high, title, fontsize=13, fontweight="bold", va="top")
    figure.text(
        _MARGIN / wide, _MARGIN / high, "\n".join(lines), fontsize=SIZE, color=MUTED, va="bottom",
        linespacing=LINE_HEIGHT / SIZE / 1.2,
    )  # fmt: skip


def wrapped(sentences: Iterable[str], width: float) -> list[str]:
    """The sentences, each beginning on a line of its own, in lines that fit a figure ``width`` inches wide."""
    room = 72 * width - 2 * _MARGIN
    lines: list[str] = []
    for sentence in sentences:
        line = ""
        for word in sentence.split():
            longer = f"{line} {word}".strip()
            if line and placement.text_width(longer, SIZE) > room:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines


def timing(summaries: Sequence[Summary], bands: bool = True) -> str:
    """How the durations came about; says so where there are none."""
    samples = [summary.samples for summary in summaries if summary.samples]
    if not samples:
        return "Nothing was timed."
    rounds, counted = _span([sample.rounds for sample in samples]), _span([sample.n for sample in samples])
    processes = "one fresh process" if rounds == "1" else f"{rounds} rounds, each in a fresh process"
    timed = [summary for summary in summaries if summary.samples]
    said = [f"Median of {counted} samples in {processes}", *_protocol(timed)]
    between = ", differences between rounds included" if rounds != "1" else ""
    several = "".join(f" {sentence}" for sentence in _several_protocols(timed))
    return f"{', '.join(said)}.{several}{f' Bands: 95 % interval of the median{between}.' if bands else ''}"


def _protocol(summaries: Sequence[Summary]) -> list[str]:
    """Settings of harness.measurement.timing.Protocol in words; those that are not here are left to the rows."""
    said = []
    calls, seconds, block_ms = (
        _setting(summaries, name, scale)
        for name, scale in (("warm_up_calls", 1), ("warm_up_seconds", 1), ("block_seconds", 1000))
    )
    if calls and seconds:
        said.append(f"after a warm-up of {calls} calls or {seconds} s")
    if block_ms:
        said.append(f"samples of at least {block_ms} ms")
    return said


def _setting(summaries: Sequence[Summary], name: str, scale: float = 1) -> str | None:
    values = [scale * summary.protocol[name] for summary in summaries if summary.protocol.get(name) is not None]
    return _span(values) if values else None


def _several_protocols(summaries: Sequence[Summary]) -> list[str]:
    """A sentence where rounds were not all made to the same settings: which, and at which T."""
    said = []
    for name, words in _OF_ROUNDS.items():
        lengths: dict[float, list[int]] = {}
        for summary in summaries:
            if summary.protocol.get(name) is not None:
                lengths.setdefault(summary.protocol[name], []).append(summary.point.frames)
        if len(lengths) > 1:
            said.append(f"{words}: {_by_length(lengths)}")
    return [f"Not all to the same protocol; {'; '.join(said)}."] if said else []


def _by_length(lengths: Mapping[float, Sequence[int]]) -> str:
    """``4 at T = 9 to 243, 2 at T = 729``; ``2 to 4`` where it is not T that decides."""
    ranges = sorted((min(frames), max(frames), value) for value, frames in lengths.items())
    if any(last >= first for (_, last, _), (first, _, _) in pairwise(ranges)):
        return _span(list(lengths))
    return ", ".join(f"{value:g} at T = {_span((first, last))}" for first, last, value in ranges)


def conditions(summaries: Sequence[Summary]) -> str:
    """What all points of a figure share: ``batch 1, fp32, cpu, 2 threads``."""
    point = summaries[0].point
    batch = _largest_batch(summaries) if point.batch_asked == AUTO else f"batch {point.batch_asked}"
    words = [batch, point.precision, point.device]
    if point.device == "cpu":
        words.append(f"{point.threads} thread{'s' * (point.threads != 1)}")
    words += ["torch.compile"] * point.compiled + ["one new frame a call"] * point.streaming
    return ", ".join(words)


def _largest_batch(summaries: Sequence[Summary]) -> str:
    """How the batches of points that asked for the largest were found, and what bounded them."""
    bounds = Counter(summary.largest_batch_bound for summary in summaries if summary.largest_batch_bound)
    if not bounds:
        return "the largest batch that ran"
    words = {"memory": "memory", "time": _time_allowed(summaries), "limit": _batch_limit(summaries)}
    said = [f"{words.get(bound, bound)}{f' ({bounds[bound]} points)' * (len(bounds) > 1)}" for bound in sorted(bounds)]
    return f"the largest batch by doubling, bounded by {' and by '.join(said)}"


def _time_allowed(summaries: Sequence[Summary]) -> str:
    seconds = _setting(summaries, "batch_seconds")
    return f"the time a forward may take{f', {seconds} s' if seconds else ''}"


def _batch_limit(summaries: Sequence[Summary]) -> str:
    limit = _setting(summaries, "batch_limit")
    return f"the search's own limit{f', {limit}' if limit else ''}"


def machine(environment: Mapping[str, Any], device: str) -> str:
    """The machine and software in a line, of what is known of it and was used: a GPU is named for points on it."""
    packages = environment.get("packages") or {}
    memory, cores = environment.get("memory_bytes"), environment.get("cores")
    words = [
        # The name is that of the first GPU; another's is not known.
        environment.get("gpu") if device in ("cuda", "cuda:0") else None,
        environment.get("processor"),
        f"{cores} cores" if cores else None,
        f"{memory / 2**30:.0f} GiB" if memory else None,
        environment.get("cpu_capability"),
        f"torch {packages['torch']}" if packages.get("torch") else None,
        f"Python {environment['python']}" if environment.get("python") else None,
    ]
    return ", ".join(str(word) for word in words if word) or "unknown machine"


def setting(summaries: Sequence[Summary]) -> str:
    """Conditions, machine and day, as one sentence of a caption."""
    first = summaries[0]
    known = ", ".join(filter(None, (machine(first.environment, first.point.device), _commits(summaries))))
    said = "; ".join(filter(None, (conditions(summaries), known, _days(summaries))))
    return f"{said[0].upper()}{said[1:]}."


def _commits(summaries: Sequence[Summary]) -> str:
    """Commits of the same code, in the order of time."""
    found: dict[str, None] = {}
    for summary in sorted(summaries, key=lambda summary: summary.started):
        commit = summary.environment.get("commit") or {}
        if commit.get("id"):
            found[f"{commit['id'][:10]}{' with changes' * bool(commit.get('dirty'))}"] = None
    if not found:
        return ""
    named = " and ".join(found) if len(found) <= _MOST_COMMITS else f"{next(iter(found))} and {len(found) - 1} others"
    return f"commit{'s' * (len(found) > 1)} {named}"


def _days(summaries: Sequence[Summary]) -> str:
    """When it was measured: a day, or the first and the last."""
    found = sorted({summary.started[:10] for summary in summaries if summary.started})
    return " to ".join(dict.fromkeys((found[0], found[-1]))) if found else ""


def verdicts(summaries: Sequence[Summary]) -> list[str]:
    """The points whose durations are doubtful or worthless, by verdict."""
    noisy = [summary for summary in summaries if summary.verdict == NOISY]
    worthless = [summary for summary in summaries if summary.verdict == INVALID]
    said = []
    if noisy:
        judged = sum(summary.verdict is not None for summary in summaries)
        which = "every point" if len(noisy) == judged else f"{len(noisy)} of {judged} points, {named(noisy)}"
        said.append(f"NOISY (samples or rounds more than 10 % of the median apart): {which}.")
    if worthless:
        said.append(f"INVALID, not joined to the others and hollow if drawn at all: {_with_reasons(worthless)}.")
    if not said and any(summary.verdict for summary in summaries):
        said.append("Every duration is STABLE.")
    return said


def gaps(summaries: Sequence[Summary]) -> list[str]:
    """The points without figures, by how they ended, with the reason."""
    said = []
    for status, words in _ENDED.items():
        members = [summary for summary in summaries if summary.status == status]
        if members:
            said.append(f"{words} (×): {_with_reasons(members)}.")
    return said


def named(summaries: Sequence[Summary]) -> str:
    """Labels and T of points, the first of many: ``mixste T = 9, 27; motionbert T = 9``."""
    lengths: dict[str, list[int]] = {}
    for summary in summaries[:_MOST_NAMED]:
        lengths.setdefault(summary.label, []).append(summary.point.frames)
    said = [f"{label} T = {', '.join(map(str, sorted(frames)))}" for label, frames in lengths.items()]
    if len(summaries) > _MOST_NAMED:
        said.append(f"and {len(summaries) - _MOST_NAMED} more points, which the table lists")
    return "; ".join(said)


def _with_reasons(summaries: Sequence[Summary]) -> str:
    reasons: dict[str, list[Summary]] = {}
    for summary in summaries:
        reasons.setdefault(_short(summary.error or summary.reason or "no reason recorded"), []).append(summary)
    return "; ".join(f"{named(members)} ({reason})" for reason, members in reasons.items())


def _short(reason: str) -> str:
    first = reason.strip().splitlines()[0] if reason.strip() else reason
    return first if len(first) <= _LONGEST_REASON else f"{first[: _LONGEST_REASON - 1].rstrip()}…"


def _span(values: Sequence[float]) -> str:
    """``90``, or ``30 to 90``."""
    return " to ".join(dict.fromkeys((f"{min(values):g}", f"{max(values):g}")))

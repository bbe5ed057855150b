"""What stands below a figure of measured costs: how it was measured and on what, what to doubt, and what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from harness.complexity.summary import Summary
from harness.measurement.samples import INVALID, NOISY
from harness.reporting import placement
from harness.reporting.palette import MUTED

#: Points of text, and of a line of it.
SIZE, LINE_HEIGHT = 8.0, 11.0
_MARGIN = 10.0
#: Longest list of points that a caption spells out, and the longest reason.
_MOST_NAMED, _LONGEST_REASON = 12, 110
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
    said = [f"Median of {counted} samples in {processes}", *_protocol(summaries)]
    between = ", differences between rounds included" if rounds != "1" else ""
    return f"{', '.join(said)}.{f' Bands: 95 % interval of the median{between}.' if bands else ''}"


def _protocol(summaries: Sequence[Summary]) -> list[str]:
    """Settings of harness.measurement.timing.Protocol in words; those that are not here are left to the rows."""
    said = []
    calls, seconds, block = (
        _setting(summaries, name) for name in ("warm_up_calls", "warm_up_seconds", "block_seconds")
    )
    if calls and seconds:
        said.append(f"after a warm-up of {calls} calls or {seconds} s")
    if block:
        said.append(f"samples of at least {1000 * float(block):g} ms")
    return said


def _setting(summaries: Sequence[Summary], name: str) -> str | None:
    values = [summary.protocol[name] for summary in summaries if summary.protocol.get(name) is not None]
    return _span(values) if values else None


def conditions(summary: Summary) -> str:
    """What all points of a figure share: ``batch 1, fp32, cpu, 2 threads``."""
    point = summary.point
    batch = "the largest batch that fits" if point.batch_asked == "auto" else f"batch {point.batch_asked}"
    words = [batch, point.precision, point.device]
    if point.device == "cpu":
        words.append(f"{point.threads} thread{'s' * (point.threads != 1)}")
    words += ["torch.compile"] * point.compiled + ["one new frame a call"] * point.streaming
    return ", ".join(words)


def machine(environment: Mapping[str, Any]) -> str:
    """The machine and software in a line, of what is known of it."""
    packages = environment.get("packages") or {}
    memory, cores = environment.get("memory_bytes"), environment.get("cores")
    commit = environment.get("commit") or {}
    words = [
        environment.get("gpu"),
        environment.get("processor"),
        f"{cores} cores" if cores else None,
        f"{memory / 2**30:.0f} GiB" if memory else None,
        environment.get("cpu_capability"),
        f"torch {packages['torch']}" if packages.get("torch") else None,
        f"Python {environment['python']}" if environment.get("python") else None,
        f"commit {commit['id'][:10]}{' with changes' * bool(commit.get('dirty'))}" if commit.get("id") else None,
    ]
    return ", ".join(str(word) for word in words if word) or "unknown machine"


def setting(summaries: Sequence[Summary]) -> str:
    """Conditions, machine and day, as one sentence of a caption."""
    measured = [conditions(summaries[0]), machine(summaries[0].environment), _days(summaries)]
    said = "; ".join(part for part in measured if part)
    return f"{said[0].upper()}{said[1:]}."


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
        said.append(f"NOISY (samples or rounds more than 10 % of the median apart): {_named(noisy)}.")
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


def _named(summaries: Sequence[Summary]) -> str:
    """``mixste T = 9, 27; motionbert T = 9``."""
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
    return "; ".join(f"{_named(members)} ({reason})" for reason, members in reasons.items())


def _short(reason: str) -> str:
    first = reason.strip().splitlines()[0] if reason.strip() else reason
    return first if len(first) <= _LONGEST_REASON else f"{first[: _LONGEST_REASON - 1].rstrip()}…"


def _span(values: Sequence[float]) -> str:
    """``90``, or ``30 to 90``."""
    return " to ".join(dict.fromkeys((f"{min(values):g}", f"{max(values):g}")))

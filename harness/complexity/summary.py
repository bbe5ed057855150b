"""The rows of one point and environment as one: counts and memory of its cost pass, durations of its rounds pooled.

Points of different environments are never mixed: the same point measured on two machines is two summaries.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.measurement import samples
from harness.measurement.point import Point
from harness.measurement.samples import INVALID, Samples
from harness.store.schema import Record, look_up

Rounds = tuple[tuple[float, ...], ...]

#: Settings of a point in which namesakes may differ, in the order in which a label names them.
_SETTINGS = ("in_channels", "batch_asked", "device", "threads", "precision", "compiled", "streaming")
_OPTION = "option "
#: Digests of what was measured and of what measured it.
_CODES = ("environment.model_code", "environment.measurement_code")
_BATCH = "point.batch"


@dataclass(frozen=True)
class Summary:
    """What is known of one point in one environment; None is what no row says.

    ``status`` is ok if all of its rows are, else the first other one's, and ``error`` says why. ``rounds_ms`` has the
    durations of one forward round by round, ``samples`` what they come to (percentiles only of forwards that were timed
    one by one) and ``verdict`` and ``reason`` whether to believe it, all of them over all rounds. ``counts`` is of one
    clip, ``kinds``, memory and durations of a batch; ``joules`` is the mean over rounds. ``largest_batch`` is what a
    search for it found, and ``largest_batch_bound`` what ended that: memory, time or limit. ``label`` is the model's
    name with the settings in which its namesakes in the same environment differ.
    """

    point: Point
    label: str
    environment_key: str
    environment: Mapping[str, Any]
    status: str
    error: str | None
    samples: Samples | None
    rounds_ms: Rounds
    verdict: str | None
    reason: str | None
    peak_bytes: int | None
    weights_bytes: int | None
    counts: Mapping[str, Any] | None
    kinds: Mapping[str, Mapping[str, Any]] | None
    joules: float | None
    output_frames: int | None
    scan_backend: str | None
    largest_batch: int | None
    largest_batch_bound: str | None
    protocol: Mapping[str, Any]
    warnings: tuple[str, ...]
    started: str

    @property
    def usable(self) -> bool:
        """Whether its figures may be fitted and compared: nothing failed and the durations, if any, are not INVALID."""
        return self.status == "ok" and self.verdict != INVALID

    @property
    def latency_ms(self) -> float | None:
        """Median of one forward."""
        return self.samples.median_ms if self.samples else None

    @property
    def frames_answered(self) -> int | None:
        """Frames that one forward answers for, over all clips of the batch."""
        if self.point.streaming:
            return self.point.batch
        return self.point.batch * self.output_frames if self.point.batch and self.output_frames else None

    @property
    def per_frame_ms(self) -> float | None:
        """Latency over the frames that it answers for."""
        return self.latency_ms / self.frames_answered if self.latency_ms and self.frames_answered else None

    @property
    def clips_per_s(self) -> float | None:
        return 1000 * self.point.batch / self.latency_ms if self.latency_ms and self.point.batch else None

    @property
    def frames_per_s(self) -> float | None:
        """Frames answered for in a second."""
        return 1000 / self.per_frame_ms if self.per_frame_ms else None

    @property
    def flops_per_frame(self) -> float | None:
        """``flops_exact`` per output frame."""
        return look_up(self.counts or {}, "per_frame.flops_exact")

    @property
    def seed(self) -> tuple[int, int]:
        """For resampling: another one for each point and environment, and always the same."""
        return _number(self.point.key()), _number(self.environment_key)


def summarise(rows: Iterable[Record]) -> list[Summary]:
    """One summary for each point and environment, by environment, model, label (all as they first come), then T.

    Of rows with the same id, the last counts, and of rows made with several versions of the
    code, those of the last one. Rows of the machine itself are passed over.
    """
    newest = {row["id"]: row for row in rows if row.get("point")}
    together: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for row in newest.values():
        together[row["point_key"], row["environment_key"]].append(row)
    summaries = _labelled([_summary(_of_newest_code(members)) for members in together.values()])
    environments = list(dict.fromkeys(one.environment_key for one in summaries))
    models = list(dict.fromkeys(one.point.model for one in summaries))
    labels = list(dict.fromkeys(one.label for one in summaries))
    return sorted(
        summaries,
        key=lambda one: (
            environments.index(one.environment_key),
            models.index(one.point.model),
            labels.index(one.label),
            one.point.frames,
        ),
    )


def _of_newest_code(rows: Sequence[Record]) -> list[Record]:
    last = max(rows, key=lambda row: str(row.get("started") or ""))
    return [row for row in rows if all(look_up(row, code) == look_up(last, code) for code in _CODES)]


def _summary(rows: Sequence[Record]) -> Summary:
    batch = next((look_up(row, _BATCH) for row in rows if row["pass"] == "cost"), None)
    timings = [row for row in rows if row["pass"] == "timing" and batch in (None, look_up(row, _BATCH))]
    timings.sort(key=lambda row: row.get("round") or 0)
    bad = next((row for row in rows if row["status"] != "ok"), None)
    rounds_ms = tuple(
        tuple(durations)
        for row in timings
        if (durations := look_up(row, "timing.samples_ms")) and row["status"] == "ok"
    )
    pooled, verdict, reason = _judged(timings, rounds_ms)
    return Summary(
        point=Point.from_row(next((row for row in rows if look_up(row, _BATCH) is not None), rows[0])),
        label="",
        environment_key=rows[0]["environment_key"],
        environment=rows[0].get("environment") or {},
        status=bad["status"] if bad else "ok",
        error=bad.get("error") if bad else None,
        samples=pooled,
        rounds_ms=rounds_ms if pooled else (),
        verdict=verdict,
        reason=reason,
        peak_bytes=_first(rows, "memory.peak_bytes"),
        weights_bytes=_first(rows, "memory.weights_bytes"),
        counts=_first(rows, "counts"),
        kinds=_first(rows, "kinds"),
        joules=_mean([look_up(row, "energy.joules_per_call") for row in timings]),
        output_frames=_first(rows, "output_frames"),
        scan_backend=_first(rows, "scan_backend"),
        largest_batch=_first(rows, "largest_batch"),
        largest_batch_bound=_first(rows, "largest_batch_bound"),
        protocol=_first(timings, "protocol") or _first(rows, "protocol") or {},
        warnings=tuple(dict.fromkeys(said for row in rows for said in row.get("warnings") or ())),
        started=min(str(row.get("started") or "") for row in rows),
    )


def _judged(timings: Sequence[Record], rounds_ms: Rounds) -> tuple[Samples | None, str | None, str | None]:
    """The verdict over all rounds; a round that is INVALID for more than having few samples makes the whole so."""
    ran = [row for row in timings if row["status"] == "ok"]
    if not ran:
        return None, None, None
    trouble = next((look_up(row, "timing.reason") or "" for row in ran if _is_troubled(row)), None)
    sound = all(samples.is_duration(duration) for durations in rounds_ms for duration in durations)
    if not sound and trouble is None:
        trouble = "a duration is not a finite positive number: the clock stood still or went backwards"
    pooled = samples.summarise(rounds_ms) if rounds_ms and sound else None
    if pooled and any((look_up(row, "timing.calls_per_sample") or 1) > 1 for row in ran):
        pooled = replace(pooled, percentiles_ms={})  # of blocks' means they would say too little
    wanted = len(ran) * int(_first(ran, "protocol.min_samples") or 0)
    return pooled, *samples.judge(pooled, wanted, trouble)


def _is_troubled(row: Record) -> bool:
    too_few = 0 < len(look_up(row, "timing.samples_ms") or ()) < samples.FEWEST
    return look_up(row, "timing.verdict") == INVALID and not too_few


def _mean(figures: Iterable[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return statistics.fmean(known) if known else None


def _first(rows: Iterable[Record], path: str) -> Any:
    return next((value for row in rows if (value := look_up(row, path)) is not None), None)


def _number(digest: str) -> int:
    return int.from_bytes(digest.encode(), "big")


def _labelled(summaries: Sequence[Summary]) -> list[Summary]:
    settings = [_settings(one.point) for one in summaries]
    namesakes: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for one, chosen in zip(summaries, settings, strict=True):
        namesakes[one.environment_key, one.point.model].append(chosen)
    return [
        replace(one, label=_label(one.point.model, chosen, namesakes[one.environment_key, one.point.model]))
        for one, chosen in zip(summaries, settings, strict=True)
    ]


def _settings(point: Point) -> dict[str, Any]:
    options = {f"{_OPTION}{name}": value for name, value in point.as_dict()["options"].items()}
    return {**options, **{name: getattr(point, name) for name in _SETTINGS}}


def _label(model: str, chosen: Mapping[str, Any], namesakes: Sequence[Mapping[str, Any]]) -> str:
    differing = [name for name in chosen if any(other.get(name) != chosen[name] for other in namesakes)]
    words = [words for name in differing if (words := _words(name, chosen[name]))]
    return f"{model} ({', '.join(words)})" if words else model


def _words(name: str, value: Any) -> str:
    """A setting as a reader calls it; what is off has no words, since its namesake has."""
    match name:
        case "compiled" | "streaming":
            return name if value else ""
        case "precision" | "device":
            return str(value)
        case "threads":
            return f"{value} thread{'s' * (value != 1)}"
        case "batch_asked":
            return f"batch {value}"
        case "in_channels":
            return f"{value} channels"
        case _:
            return f"{name.removeprefix(_OPTION)}={value}"

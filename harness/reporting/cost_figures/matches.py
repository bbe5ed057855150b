"""Which stored measurement is of the lifter that a run has scored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.comparison.group import REGULARISATION, Entry
from harness.complexity.summary import Summary


@dataclass(frozen=True)
class Matches:
    """Measurements by what they are of, and then by input channels."""

    by_what: Mapping[str, Mapping[int, Summary]]

    @classmethod
    def of(cls, summaries: Sequence[Summary]) -> Matches:
        """Of those that were counted."""
        found: dict[str, dict[int, Summary]] = {}
        for summary in summaries:
            if summary.counts:
                found.setdefault(_what(summary.point.as_dict()), {})[summary.point.in_channels] = summary
        return cls(found)

    def find(self, entry: Entry) -> Summary | None:
        """The measurement of an entry's lifter; with other input channels where there is none with its own."""
        config = entry.any_run["config"]
        same = self.by_what.get(_what(config), {})
        return same.get(config["in_channels"]) or next((same[channels] for channels in sorted(same)), None)


def inference_options(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a model that a forward in inference depends on."""
    return {key: value for key, value in (config.get("options") or {}).items() if REGULARISATION not in key}


def of_one_kind(summaries: Sequence[Summary]) -> list[Summary]:
    """The usable points at batch 1 in float32 of the machine and threads with the most of them."""
    return [summary for summary in all_of_one_kind(summaries) if _is_timed(summary)]


def all_of_one_kind(summaries: Sequence[Summary]) -> list[Summary]:
    """As ``of_one_kind``, with the points that failed or whose durations are worth nothing."""
    plain = [
        summary
        for summary in summaries
        if summary.point.batch_asked == "1" and summary.point.precision == "fp32" and not summary.point.compiled
        and not summary.point.streaming
    ]  # fmt: skip
    kinds = Counter(_kind(summary) for summary in plain if _is_timed(summary))
    if not kinds:
        return []
    largest = max(kinds, key=lambda kind: (kinds[kind], kind))
    return [summary for summary in plain if _kind(summary) == largest]


def _is_timed(summary: Summary) -> bool:
    return summary.usable and bool(summary.latency_ms)


def _what(config: Mapping[str, Any]) -> str:
    """Model, T, precision and options, as one key."""
    precision = config.get("precision", "fp32")
    return json.dumps([config["model"], config["frames"], precision, inference_options(config)], sort_keys=True)


def _kind(summary: Summary) -> tuple[str, str, int]:
    return summary.environment_key, summary.point.device, summary.point.threads

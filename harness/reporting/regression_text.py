"""A regression check in words: one line a check, the verdict last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from harness.comparison.group import SEEDS_FOR_SPREAD
from harness.comparison.regression import Check, Limits, Regression
from harness.comparison.significance import SIGNIFICANCE


def text(found: Regression, limits: Limits) -> str:
    """For a log: plain lines, none wrapped."""
    lines = [_limits(limits)]
    lines += [f"{check.configuration}: {check.what}: {check.finding}: {check.ending}" for check in found.checks]
    for side, titles in (("BASE", found.only_base), ("NEW", found.only_new)):
        lines += [f"{title}: only in {side}: not compared" for title in titles]
    return "\n".join([*lines, f"verdict: {verdict(found)}"])


def verdict(found: Regression) -> str:
    """What the exit code says."""
    if found.worse:
        return f"WORSE in {', '.join(f'{check.what} of {check.configuration}' for check in found.worse)}"
    if not found.checks:
        return "CANNOT BE COMPARED: no configuration is in both"
    if found.unjudged:
        return f"CANNOT BE COMPARED: {', '.join(map(_unjudged, found.unjudged))}"
    if not any(check.what == "speed" for check in found.checks):
        return "not worse"
    return f"not worse in accuracy; speed not judged ({_untimed(found.untimed)})" if found.untimed else "not worse"


def _unjudged(check: Check) -> str:
    return check.configuration if check.what == "accuracy" else f"{check.what} of {check.configuration}"


def _untimed(checks: Sequence[Check]) -> str:
    """Why, and of which configurations."""
    by_reason: dict[str, list[str]] = {}
    for check in checks:
        by_reason.setdefault(check.why, []).append(check.configuration)
    return "; ".join(f"{why}: {', '.join(names)}" for why, names in by_reason.items())


def as_json(found: Regression, limits: Limits) -> str:
    """The same for a program, with the exit code."""
    content = {
        "verdict": verdict(found),
        "exit_code": found.exit_code,
        "limits": asdict(limits),
        "checks": [asdict(check) for check in found.checks],
        "only_base": list(found.only_base),
        "only_new": list(found.only_new),
    }
    return json.dumps(content, indent=2)


def _limits(limits: Limits) -> str:
    return (
        f"worse: a seed that no longer finishes; accuracy by at least {limits.worth_having_mm:g} mm with the interval "
        f"over takes (conditional on the test subjects) above zero, p < {SIGNIFICANCE:g} by Holm over all "
        f"configurations and, from {SEEDS_FOR_SPREAD} seeds on, beyond their spread; speed by more than "
        f"{limits.tolerated_slowdown_percent:g} % beyond both intervals"
    )

"""Measurement rows like those of a real survey, made up: figures of a plausible size by a known law, nothing measured.

A law is a polynomial in T for each quantity, so that a test knows what should come out. ``typical()`` is a whole
survey of four lifters with the rows that do not fit: out of memory, unsupported, NOISY and INVALID.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.measurement.kind import KINDS
from harness.measurement.point import Point

FRAMES = (9, 27, 81, 243, 486, 729)
ROUNDS = 3
SAMPLES = 30
ENVIRONMENT: dict[str, Any] = {
    "harness": "0.1.0",
    "commit": {"id": "0f3a9c1d5b7e2468ace013579bdf02468ace1357", "dirty": False},
    "python": "3.11.2",
    "system": "Linux-6.1-x86_64",
    "processor": "AMD EPYC 9R14",
    "cores": 2,
    "memory_bytes": 16_000_000_000,
    "threads": 2,
    "gpu": None,
    "cuda": None,
    "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
    "float32_matmul_precision": "highest",
}
PROTOCOL: dict[str, Any] = {
    "rounds": ROUNDS,
    "min_samples": 10,
    "min_seconds": 1.0,
    "max_seconds": 30.0,
    "warm_up_calls": 10,
    "warm_up_seconds": 1.0,
    "block_seconds": 0.010,
    "memory_limit_bytes": None,
    "seed": 0,
}
MACHINE = {
    "threads": 2,
    "device": "cpu",
    "gemm_flops_per_s": 180e9,
    "copy_bytes_per_s": 24e9,
    "exp_per_s": 8e9,
}


@dataclass(frozen=True)
class Law:
    """Latency and peak memory of one forward of one clip, flops by kind, each as ((factor, power of T), ...)."""

    latency_ms: tuple[tuple[float, float], ...]
    peak_bytes: tuple[tuple[float, float], ...]
    flops: Mapping[str, tuple[tuple[float, float], ...]]
    params: int = 1_000_000
    output_frames: int | None = None  # None: as many as go in


def value(law: Sequence[tuple[float, float]], frames: int) -> float:
    """What ``law`` says at T = ``frames``."""
    return sum(factor * float(frames) ** power for factor, power in law)


#: By registered name. posemamba-s is linear in all; motionagformer-xs is faster below T = 140 or so, motionbert slower
#: throughout; videopose3d answers for the centre frame alone.
LAWS: dict[str, Law] = {
    "posemamba-s": Law(
        latency_ms=((2.5, 0), (0.76, 1)),
        peak_bytes=((4.0e6, 0), (0.55e6, 1)),
        flops={
            "projection": ((29.5e6, 1),),
            "attention": (),
            "scan": ((19.6e6, 1),),
            "convolution": ((0.8e6, 1),),
            "normalisation": ((1.0e6, 1),),
            "elementwise": ((2.9e6, 1),),
        },
        params=1_470_211,
    ),
    "motionagformer-xs": Law(
        latency_ms=((2.0, 0), (0.42, 1), (0.0025, 2)),
        peak_bytes=((3.0e6, 0), (0.35e6, 1), (1.1e3, 2)),
        flops={
            "projection": ((81.0e6, 1),),
            "attention": ((0.9e6, 1), (0.21e6, 2)),
            "scan": (),
            "convolution": (),
            "normalisation": ((1.4e6, 1),),
            "elementwise": ((3.1e6, 1),),
        },
        params=2_241_531,
    ),
    "motionbert": Law(
        latency_ms=((6.0, 0), (5.2, 1), (0.013, 2)),
        peak_bytes=((9.0e6, 0), (2.4e6, 1), (4.4e3, 2)),
        flops={
            "projection": ((1438.0e6, 1),),
            "attention": ((3.1e6, 1), (0.52e6, 2)),
            "scan": (),
            "convolution": (),
            "normalisation": ((3.5e6, 1),),
            "elementwise": ((14.0e6, 1),),
        },
        params=42_466_317,
    ),
    "videopose3d": Law(
        latency_ms=((3.0, 0), (0.05, 1)),
        peak_bytes=((6.0e6, 0), (0.02e6, 1)),
        flops={
            "projection": (),
            "attention": (),
            "scan": (),
            "convolution": ((2.2e6, 1),),
            "normalisation": ((0.02e6, 1),),
            "elementwise": ((0.01e6, 1),),
        },
        params=16_952_371,
        output_frames=1,
    ),
}


def power_law(exponent: float, factor: float = 1.0) -> Law:
    """``factor`` times T to the ``exponent``: milliseconds, megabytes, megaflops of projections."""
    term = ((factor, exponent),)
    flops = {kind: ((factor * 1e6, exponent),) if kind == "projection" else () for kind in KINDS}
    return Law(term, ((factor * 1e6, exponent),), flops)


def point(model: str, frames: int, **fields: Any) -> dict[str, Any]:
    """A point with the usual settings; ``fields`` replace them."""
    usual: dict[str, Any] = {
        "model": model,
        "frames": frames,
        "in_channels": 2,
        "options": {},
        "batch": 1,
        "batch_asked": "1",
        "device": "cpu",
        "threads": 2,
        "precision": "fp32",
        "compiled": False,
        "streaming": False,
    }
    return {**usual, **fields}


def key(what: Mapping[str, Any]) -> str:
    """A digest that stands for an environment."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def row(what: str, of: Mapping[str, Any] | None, environment: Mapping[str, Any] = ENVIRONMENT, round: int | None = None,
        **fields: Any) -> dict[str, Any]:  # fmt: skip
    """A row of pass ``what`` of the point ``of`` (None: of the machine) with nothing but what every row has."""
    point_key = None if of is None else Point(**of).key()
    name = "-".join(str(part) for part in (point_key, key(environment), what, round) if part is not None)
    minute = 0 if round is None else 10 * (1 + round)
    made = {
        "schema": 1,
        "id": name,
        "status": "ok",
        "error": None,
        "started": f"2026-03-01T08:{minute:02d}:00+00:00",
        "finished": f"2026-03-01T08:{minute + 5:02d}:00+00:00",
        "warnings": [],
        "pass": what,
        "environment": copy.deepcopy(dict(environment)),
        "environment_key": key(environment),
        "protocol": dict(PROTOCOL),
    }
    if of is not None:
        made |= {"point_key": point_key, "point": copy.deepcopy(dict(of))}
    return made | ({} if round is None else {"round": round}) | fields


def samples_ms(
    law: Law, of: Mapping[str, Any], noise: float, rounds: int, samples: int, rng: np.random.Generator
) -> list[list[float]]:
    """Durations, round by round: each round is off by ``noise`` / 2, each sample by ``noise`` more, both lognormal."""
    true_ms = value(law.latency_ms, of["frames"]) * (of["batch"] or 1)
    drawn = []
    for _ in range(rounds):
        own = true_ms * np.exp(noise / 2 * rng.standard_normal())
        drawn.append([float(duration) for duration in own * np.exp(noise * rng.standard_normal(samples))])
    return drawn


def counts(law: Law, of: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of one clip in every convention; those that miss attention and scan miss them here too."""
    frames = of["frames"]
    by_kind = {kind: round(value(terms, frames)) for kind, terms in law.flops.items()}
    exact = sum(by_kind.values())
    seen_by_thop = {kind: flops // 2 if kind in ("projection", "convolution") else 0 for kind, flops in by_kind.items()}
    halved = {kind: flops // 2 for kind, flops in by_kind.items()}
    out = law.output_frames or frames
    costs = {
        "macs_thop": sum(seen_by_thop.values()),
        "macs_fvcore": exact // 2,
        "flops_torch": exact - by_kind["normalisation"] - by_kind["elementwise"],
        "flops_exact": exact,
        "flops_9bldn": exact + by_kind["scan"] // 3,
        "transcendentals": by_kind["scan"] // 7 + by_kind["attention"] // 140 + by_kind["elementwise"] // 10,
        "bytes": exact // 4,
    }
    return {
        "params_total": law.params,
        "params_thop": law.params * 9 // 10,
        **costs,
        "per_frame": {name: cost / out for name, cost in costs.items()},
        "by_kind": {
            "macs_thop": seen_by_thop,
            "macs_fvcore": halved,
            "flops_torch": {kind: 2 * macs for kind, macs in halved.items()},
            "flops_exact": by_kind,
        },
        "by_operator": {"macs_fvcore": {}, "flops_exact": {}},
        "uncounted": {"macs_fvcore": {}, "flops_torch": {}, "flops_exact": {}},
        "training_step": None,
        "frames": frames,
        "in_channels": of["in_channels"],
        "output_frames": out,
    }


#: Flops a second and a byte, and share of exponentials among the flops, of each kind on the made-up machine.
_RATES = {
    "projection": (80e9, 25.0, 0.0),
    "attention": (30e9, 8.0, 0.007),
    "scan": (14e9, 7.0, 0.14),
    "convolution": (40e9, 12.0, 0.0),
    "normalisation": (4e9, 0.6, 0.0),
    "elementwise": (2.5e9, 0.25, 0.1),
}


def kinds(law: Law, of: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Time, flops and bytes by kind of one forward; the seconds add up to a little more than the latency."""
    batch = of["batch"] or 1
    flops = {kind: batch * round(value(terms, of["frames"])) for kind, terms in law.flops.items()}
    unscaled = {kind: flops[kind] / _RATES[kind][0] for kind in flops}
    scale = 1.05e-3 * batch * value(law.latency_ms, of["frames"]) / (sum(unscaled.values()) or 1.0)
    return {
        kind: {
            "calls": 40,
            "seconds": unscaled[kind] * scale,
            "flops": flops[kind],
            "transcendentals": round(flops[kind] * _RATES[kind][2]),
            "bytes": round(flops[kind] / _RATES[kind][1]),
        }
        for kind in flops
        if flops[kind]
    }


def of_point(
    law: Law,
    of: Mapping[str, Any],
    *,
    noise: float = 0.02,
    rounds: int = ROUNDS,
    samples: int = SAMPLES,
    seed: int = 0,
    environment: Mapping[str, Any] = ENVIRONMENT,
) -> list[dict[str, Any]]:
    """The cost row and the timing rows of one point that went well."""
    rng = np.random.default_rng([seed, int(Point(**of).key(), 16)])
    out = law.output_frames or of["frames"]
    shared = {"output_frames": out, "scan_backend": "native" if law.flops["scan"] else None}
    cost = row(
        "cost",
        of,
        environment,
        **shared,
        output_difference=0.0,
        memory={
            "peak_bytes": round(value(law.peak_bytes, of["frames"]) * (of["batch"] or 1)),
            "weights_bytes": 4 * law.params,
            "reader": "peak resident size of the process",
        },
        counts=counts(law, of),
        kinds=kinds(law, of),
    )
    timings = [
        row("timing", of, environment, number, **shared, output_difference=0.0, timing={
            "samples_ms": durations,
            "calls_per_sample": 1,
            "warm_up_calls": 10,
            "seconds": sum(durations) / 1000,
            "verdict": "STABLE",
            "reason": f"{samples} samples, their quartiles within a tenth of the median",
        })
        for number, durations in enumerate(samples_ms(law, of, noise, rounds, samples, rng))
    ]  # fmt: skip
    return [cost, *timings]


def survey(
    laws: Mapping[str, Law] = LAWS,
    frames: Sequence[int] = FRAMES,
    *,
    noise: float = 0.02,
    rounds: int = ROUNDS,
    samples: int = SAMPLES,
    seed: int = 0,
    environment: Mapping[str, Any] = ENVIRONMENT,
    **fields: Any,
) -> list[dict[str, Any]]:
    """All rows of ``laws`` at all ``frames``, and the machine's; ``fields`` are settings of every point."""

    def rows() -> Iterator[dict[str, Any]]:
        yield machine(environment)
        for model, law in laws.items():
            for length in frames:
                settings = {"noise": noise, "rounds": rounds, "samples": samples, "seed": seed}
                yield from of_point(law, point(model, length, **fields), environment=environment, **settings)

    return list(rows())


def machine(environment: Mapping[str, Any] = ENVIRONMENT, **peaks: float) -> dict[str, Any]:
    """The row of the machine's own peaks."""
    return row("machine", None, environment, machine={**MACHINE, **peaks})


def out_of_memory(model: str = "motionbert", frames: int = 2187, **fields: Any) -> dict[str, Any]:
    """A cost row of a point that did not fit; it has no timing rows."""
    batch = fields.get("batch", 1)
    error = f"out of memory at batch {batch}: tried to allocate 21.3 GiB; the largest batch that ran is 0"
    return row("cost", point(model, frames, **fields), status="oom", error=error, largest_batch=0)


def unsupported(model: str = "motionagformer-xs", frames: int = 729, **fields: Any) -> dict[str, Any]:
    """A cost row of a point that this machine cannot do."""
    fields = {"precision": "fp16", **fields}
    return row("cost", point(model, frames, **fields), status="unsupported", error="fp16 has no kernels on the CPU")


def noisy(model: str = "motionbert", frames: int = 27, **fields: Any) -> list[dict[str, Any]]:
    """The rows of a point whose durations scatter so much that the verdict is NOISY."""
    made = of_point(LAWS[model], point(model, frames, **fields), noise=0.3, seed=1)
    for timing in made[1:]:
        timing["timing"] |= {"verdict": "NOISY", "reason": "the quartiles are 0.40 of the median apart, more than 0.1"}
    return made


def invalid(model: str = "motionbert", frames: int = 9, **fields: Any) -> list[dict[str, Any]]:
    """The rows of a point whose clock went backwards: there are samples, and none may be used."""
    made = of_point(LAWS[model], point(model, frames, **fields))
    for timing in made[1:]:
        timing["timing"] |= {"verdict": "INVALID", "reason": "the clock went backwards by 3 ms"}
        timing["timing"]["samples_ms"] = [duration / 50 for duration in timing["timing"]["samples_ms"]]
    return made


def typical() -> list[dict[str, Any]]:
    """A survey of four lifters on one machine, with an oom, an unsupported, a NOISY and an INVALID point."""
    exceptions = [*noisy(), *invalid(), out_of_memory(), unsupported()]
    replaced = {made["id"] for made in exceptions}
    return [made for made in survey() if made["id"] not in replaced] + exceptions

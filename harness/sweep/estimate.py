"""How long a point takes, by what the store has measured, and where each figure comes from.

A training takes as long as its budget says, or steps x clips x seconds of a clip in a training step. SOURCES has what
these last seconds are taken from, the first that there is.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.store.schema import Record
from harness.sweep import history
from harness.sweep.history import Ground, Timed, Trained
from harness.sweep.workload import Workloads

if TYPE_CHECKING:
    from harness.config import RunConfig

#: Where a duration comes from: key -> what the person at the terminal reads. The order is that of preference.
SOURCES = {
    "budget": "the budget in minutes",
    "trained": "trainings of the same lifter at the same T",
    "growth": "trainings of the same lifter at other T, by a power of T",
    "forward": "the lifter's timed forward, times what a training step takes of one",
    "proportional": "trainings of the same lifter at one other T, taken as proportional to T",
    "setting": "trainings of the same lifter with other threads, devices or the like, taken as they were",
    "operations": "counted operations, at the rate that the store's lifters reach",
    "product": "counted operations, at a third of a matrix product's rate on this machine: a guess",
    "survey": "harness measure's own plan",
    "unknown": "nothing: neither timed nor countable",
}

#: Backward costs about twice the forward; what a step of the store's trainings takes beyond its operations is fitted.
_STEP_OVER_FORWARD = 3.0
#: Of a matrix product's rate that a whole lifter reaches, roughly; as in harness.measurement.plan.
_SHARE_OF_PRODUCT = 1 / 3
#: To start, to load data, to count and to time the lifter, where no run tells.
_FIXED_S = 20.0


@dataclass(frozen=True)
class Estimate:
    """training_s  None where it is unknown
    rest_s      everything else: starting, loading, evaluation, counting; None where unknown
    source      of training_s, a key of SOURCES
    """

    training_s: float | None
    rest_s: float | None
    source: str

    @property
    def seconds(self) -> float | None:
        """The whole point; None where a part is unknown."""
        return None if self.training_s is None or self.rest_s is None else self.training_s + self.rest_s


class CostModel:
    """Of runs, from a store's ``records`` and measurement ``rows``.

    ``product_rate`` gives the operations a second of a matrix product on a device (None: it is not here), and is asked
    where nothing else is known. ``machines``: what was measured on them counts alone where there is any (empty: all
    count alike).
    """

    def __init__(
        self,
        records: Iterable[Record],
        rows: Iterable[Record],
        workloads: Workloads,
        product_rate: Callable[[str], float | None],
        machines: Collection[str] = (),
    ) -> None:
        self._records, self._rows, self._workloads = list(records), list(rows), workloads
        self._product_rate, self._machines = product_rate, machines
        self._rates: dict[str, float | None] = {}
        self._known: dict[str, Estimate] = {}
        self._defaults: dict[str, Any] = {}
        self._trained: list[Trained] = []
        self._timed: list[Timed] = []

    def of_run(self, config: RunConfig, processes: int = 1) -> Estimate:
        """Of a run that so many ``processes`` share: where no such was seen, as if they were as many times as fast.

        Raises BadInput where the data that the budget or the evaluation is counted on cannot be loaded.
        """
        self._read(config)
        key = json.dumps([dataclasses.replace(config, seed=0).as_dict(), processes], sort_keys=True, default=str)
        if key not in self._known:
            training_s, source = self._training_s(config, processes)
            self._known[key] = Estimate(training_s, self._rest_s(config, processes), source)
        return self._known[key]

    def machines(self) -> list[str]:
        """Those that the durations were measured on."""
        return sorted({one.machine for one in self._trained} | {one.machine for one in self._timed})

    def _read(self, config: RunConfig) -> None:
        """What the store says, by the fields that runs of today have."""
        if self._defaults:
            return
        self._defaults = history.defaults_of(config)
        trained = history.trained(self._records, self._defaults)
        timed = history.timed(self._rows, self._defaults)
        measured_on = {one.machine for one in trained} | {one.machine for one in timed}
        counting = measured_on & set(self._machines) or measured_on
        self._trained = [one for one in trained if one.machine in counting]
        self._timed = [one for one in timed if one.machine in counting]

    # ---- training ----

    def _training_s(self, config: RunConfig, processes: int) -> tuple[float | None, str]:
        budget = config.budget
        if budget.seconds is not None:
            return budget.seconds, "budget"
        if budget.core_seconds is not None:
            return budget.core_seconds * self._wall_per_core(config) / processes, "budget"
        clip_s, source = self._shared_clip_s(config, processes)
        if clip_s is None:
            return None, source
        if budget.steps is not None:
            return budget.steps * config.batch_size * clip_s, source
        workload = self._workloads.of(config)
        if workload is None:
            return None, "unknown"
        return (budget.epochs or 0) * workload.steps_per_epoch * workload.clips_per_step * clip_s, source

    def _wall_per_core(self, config: RunConfig) -> float:
        known = [one.wall_per_core for one in self._alike(config) if one.wall_per_core is not None]
        return statistics.median(known) if known else 1 / config.threads

    def _shared_clip_s(self, config: RunConfig, processes: int) -> tuple[float | None, str]:
        setting = self._setting(config, processes)
        alike = [one for one in self._trained if (one.lifter, one.setting) == (_lifter(config), setting)]
        known = _of_trained(config, alike) if processes > 1 else None
        if known is not None and known[1] == "same":
            return known[0], "trained"
        clip_s, source = self._clip_s(config)
        return (None if clip_s is None else clip_s / processes), source

    def _clip_s(self, config: RunConfig) -> tuple[float | None, str]:
        own = [one for one in self._trained if one.lifter == _lifter(config)]
        alike = [one for one in own if one.setting == self._setting(config)]
        known = _of_trained(config, alike)
        if known is not None and known[1] != "proportional":
            return known[0], "trained" if known[1] == "same" else "growth"
        if (forward_s := self._timed_forward_s(config)) is not None:
            return forward_s * self._step_over_forward(config), "forward"
        if known is not None:
            return known[0], "proportional"
        if (known := _of_trained(config, own)) is not None:
            return known[0], "setting"
        operations = self._operations(config)
        if operations is None:
            return None, "unknown"
        if (rate := self._known_rate(config)) is not None:
            return operations / rate, "operations"
        if (product_rate := self._rate_of(config.device)) is None:
            return None, "unknown"
        return operations / (_SHARE_OF_PRODUCT * product_rate), "product"

    def _operations(self, config: RunConfig) -> float | None:
        """Of a training step for one clip: from the store where it has them for this very T, else counted."""
        lifter = _lifter(config)
        for one in self._trained:
            if (one.lifter, one.frames) == (lifter, config.frames) and one.step_operations:
                return one.step_operations
        for row in self._timed:
            if (row.lifter, row.frames) == (lifter, config.frames) and row.operations and row.step_over_forward:
                return row.operations * row.step_over_forward
        return self._workloads.step_operations(config)

    def _known_rate(self, config: RunConfig) -> float | None:
        """Operations a second in training, the median of lifters; each counts once for each T.

        Of trainings in the same setting; else of forwards timed in it, as much slower as trainings are; else of
        trainings in other settings of the device.
        """
        setting = self._setting(config)
        device = history.device_of(setting)
        excess = self._excess(config)
        rates = (
            [(one, one.step_operations, one.clip_s) for one in self._trained if one.setting == setting],
            [(one, one.operations, one.forward_s * excess) for one in self._timed if one.setting == setting],
            [(one, one.step_operations, one.clip_s) for one in self._trained if _is_on(device, one)],
        )
        return next((rate for known in rates if (rate := _median_rate(known)) is not None), None)

    def _rate_of(self, device: str) -> float | None:
        if device not in self._rates:
            self._rates[device] = self._product_rate(device)
        return self._rates[device]

    # ---- forward ----

    def _timed_forward_s(self, config: RunConfig) -> float | None:
        """One clip answered by itself, as ``harness measure`` timed it."""
        setting, lifter = self._setting(config), _lifter(config)
        known = [(one.frames, one.forward_s) for one in self._timed if (one.lifter, one.setting) == (lifter, setting)]
        found = history.at(config.frames, known)
        return None if found is None else found[0]

    def _step_over_forward(self, config: RunConfig) -> float:
        """Seconds of a clip in training over those of it answered by itself."""
        return self._counted_ratio(_lifter(config), config.frames) * self._excess(config)

    def _counted_ratio(self, lifter: str, frames: int) -> float:
        """The same by counted operations, at the nearest T that it was counted at."""
        known = [one for one in self._timed if one.lifter == lifter and one.step_over_forward]
        nearest = min(known, key=lambda one: abs(one.frames - frames), default=None)
        return _STEP_OVER_FORWARD if nearest is None else nearest.step_over_forward or _STEP_OVER_FORWARD

    def _excess(self, config: RunConfig) -> float:
        """How much longer than by its operations a training step takes, beside a forward.

        The median of the lifter's own trainings at any T, or of all lifters'. It is a matter of the machine more than
        of threads, so that all settings of the device tell.
        """
        device = history.device_of(self._setting(config))
        excesses = [
            (one.lifter, one.clip_s / (one.forward_s * self._counted_ratio(one.lifter, one.frames)))
            for one in self._trained
            if one.forward_s and _is_on(device, one)
        ]
        own = [excess for lifter, excess in excesses if lifter == _lifter(config)]
        return statistics.median(own or [excess for _, excess in excesses]) if excesses else 1.0

    # ---- the rest ----

    def _rest_s(self, config: RunConfig, processes: int) -> float | None:
        scoring = history.scoring_of(config.as_dict(), self._defaults)
        same = [
            one.rest_s
            for one in self._alike(config, processes)
            if (one.lifter, one.frames, one.scoring) == (_lifter(config), config.frames, scoring) and one.rest_s
        ]
        if same:
            return statistics.median(same)
        forward_s = self._forward_s(config)
        workload = None if forward_s is None else self._workloads.of(config)
        if forward_s is None or workload is None:
            return None
        return self._fixed_s() + workload.forwards * forward_s / processes

    def _forward_s(self, config: RunConfig) -> float | None:
        known = [
            (one.frames, one.forward_s)
            for one in self._alike(config)
            if one.lifter == _lifter(config) and one.forward_s is not None
        ]
        if (found := history.at(config.frames, known)) is not None:
            return found[0]
        if (timed_s := self._timed_forward_s(config)) is not None:
            return timed_s
        clip_s, _ = self._clip_s(config)
        return None if clip_s is None else clip_s / self._step_over_forward(config)

    def _fixed_s(self) -> float:
        """What is left of the rest when the clips are answered: the store's median."""
        left_s = [
            max(0.0, one.rest_s - one.forwards * one.forward_s)
            for one in self._trained
            if one.rest_s is not None and one.forwards is not None and one.forward_s is not None
        ]
        return statistics.median(left_s) if left_s else _FIXED_S

    # ---- what is alike ----

    def _alike(self, config: RunConfig, processes: int = 1) -> list[Trained]:
        setting = self._setting(config, processes)
        return [one for one in self._trained if one.setting == setting]

    def _setting(self, config: RunConfig, processes: int = 1) -> str:
        return history.setting_of(config.as_dict(), self._defaults, processes)


def _lifter(config: RunConfig) -> str:
    return history.lifter_of(config.model, config.in_channels, config.options)


def _is_on(device: str, one: Trained) -> bool:
    return history.device_of(one.setting) == device


def _median_rate(known: Sequence[tuple[Trained | Timed, float | None, float]]) -> float | None:
    """Of (line, operations, seconds); lines without operations say nothing."""
    rates: dict[tuple[str, int], list[float]] = {}
    for one, operations, seconds in known:
        if operations:
            rates.setdefault((one.lifter, one.frames), []).append(operations / seconds)
    return statistics.median(map(statistics.median, rates.values())) if rates else None


def _of_trained(config: RunConfig, trained: Sequence[Trained]) -> tuple[float, Ground] | None:
    """Seconds of a clip in training at the run's T, with its batch where one such was trained, and see history.at."""
    same_batch = [one for one in trained if one.batch_size == config.batch_size]
    return history.at(config.frames, [(one.frames, one.clip_s) for one in same_batch or trained])

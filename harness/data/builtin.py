"""``synthetic``: the built-in set, generated; ``synthetic:train_minutes=2,seed=3`` sets its generator's options.

The bodies and motions depend on the options alone. The data seed of a run is that of the detection noise, as it is
for recorded motion, so that the same people are seen whatever the seed.
"""

from __future__ import annotations

import inspect
import typing
from pathlib import Path
from typing import Any

from harness.data import rig, synthetic
from harness.data.detector import PRESETS
from harness.data.sequence import Dataset
from harness.errors import BadInput, suggestion

NAME = "synthetic"


def detectors(argument: str) -> tuple[str, ...]:
    """Presets of the simulated detector (``harness.data.detector``)."""
    return tuple(PRESETS)


def load(argument: str, *, detector: str, seed: int, cache: Path | None) -> Dataset:
    """The generated set before Human3.6M's cameras; raises BadInput for an option unknown or of the wrong type."""
    options = parse_options(argument)
    notes = [f"generated with {argument}"] if options else []
    return rig.film(synthetic.takes(**options), NAME, detector=detector, seed=seed, cache=cache, notes=notes)


def parse_options(argument: str) -> dict[str, Any]:
    """``"a=1,b=2.5,c=x+y"`` as keyword arguments of ``synthetic.takes``, each of its annotated type."""
    types = typing.get_type_hints(synthetic.takes)
    known = list(inspect.signature(synthetic.takes).parameters)
    options: dict[str, Any] = {}
    for item in filter(None, (part.strip() for part in argument.split(","))):
        name, equals, value = (text.strip() for text in item.partition("="))
        if name not in known:
            listed = ", ".join(f"{option} ({_kind(types[option])})" for option in known)
            raise BadInput(f"synthetic: no such option {name!r}. {suggestion(name, known)}There are: {listed}")
        if not equals or name in options:
            raise BadInput(f"synthetic: option {item!r} should be given once, as {name}=VALUE")
        options[name] = _converted(name, value, types[name])
    return options


def _kind(wanted: Any) -> str:
    return wanted.__name__ if wanted in (int, float) else "names joined by +"


def _converted(name: str, value: str, wanted: Any) -> Any:
    if wanted not in (int, float):
        return tuple(value.split("+"))
    try:
        return wanted(value)
    except ValueError as error:
        raise BadInput(f"synthetic: {name} wants {_kind(wanted)}, got {value!r}") from error

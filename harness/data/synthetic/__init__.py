"""Built-in motion: jointed bodies that walk, sit, talk and throw, made from a seed and nothing else.

It is for learning the software and for tests that need data whose truth is known; it is no substitute for recorded
people, and results on it say nothing of results on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.synthetic.actions import ACTIONS
from harness.data.synthetic.body import draw_body, joints_mm, keep_legs_in_reach
from harness.data.synthetic.manner import draw_manner
from harness.data.take import Part, Take
from harness.errors import BadInput, suggestion

__all__ = ["ACTIONS", "takes"]

_TAKE_S = 8.0
_SHORTEST_S = 0.5
_PARTS: tuple[Part, Part] = ("train", "test")


def takes(
    seed: int = 0,
    *,
    train_minutes: float = 12.0,
    test_minutes: float = 3.0,
    train_subjects: int = 10,
    test_subjects: int = 4,
    fps: float = 50.0,
    actions: Sequence[str] | None = None,
) -> Iterator[Take]:
    """Takes of ``train_minutes`` and ``test_minutes`` in all, of different people, about 8 s each.

    Takes go round the actions and the subjects, so that every subject does every action once there are enough takes.
    The same seed and options give the same arrays, up to float noise and NumPy's promise for its random streams; a
    person's body depends on seed, part and number alone. World millimetres, z up, mean pelvis over the origin.

    Raises BadInput for an option out of range or an unknown action.
    """
    names = _checked(seed, train_minutes, test_minutes, train_subjects, test_subjects, fps, actions)
    return _all_takes(
        seed, dict(zip(_PARTS, (train_minutes, test_minutes), strict=True)),
        dict(zip(_PARTS, (train_subjects, test_subjects), strict=True)), fps, names,
    )  # fmt: skip


def _all_takes(
    seed: int, minutes: dict[Part, float], subjects: dict[Part, int], fps: float, names: Sequence[str]
) -> Iterator[Take]:
    for part in _PARTS:
        for number, frames in enumerate(_lengths(seed, part, minutes[part], fps)):
            round_, turn = divmod(number, len(names))
            yield _take(seed, part, (round_ + turn) % subjects[part], names[turn], number, int(frames), fps)


def _stream(seed: int, part: Part, *key: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence((seed, _PARTS.index(part), *key)))


def _lengths(seed: int, part: Part, minutes: float, fps: float) -> NDArray[np.int64]:
    """(n,) frames of each take: of uneven length, and exactly ``minutes`` together."""
    total = round(minutes * 60.0 * fps)
    count = max(1, round(minutes * 60.0 / _TAKE_S)) if total else 0
    shares = _stream(seed, part, 0).uniform(0.7, 1.3, count)
    ends = np.round(np.cumsum(shares) / max(shares.sum(), 1e-9) * total).astype(np.int64)
    return np.diff(ends, prepend=0)


def _take(seed: int, part: Part, subject: int, action: str, number: int, frames: int, fps: float) -> Take:
    person = _stream(seed, part, 1, subject)
    body, manner = draw_body(person), draw_manner(person)
    time_s = np.arange(frames) / fps
    posture = ACTIONS[action](_stream(seed, part, 2, number), body, manner, time_s)
    keep_legs_in_reach(body, posture, fps)
    joints = joints_mm(body, posture)
    joints -= np.array([*joints[:, 0, :2].mean(0), 0.0])
    return Take(f"{part}-{subject + 1:02d}", action, f"{number + 1:03d}", fps, joints, part)


def _checked(
    seed: int,
    train_minutes: float,
    test_minutes: float,
    train_subjects: int,
    test_subjects: int,
    fps: float,
    actions: Sequence[str] | None,
) -> Sequence[str]:
    """The names of the actions, once every option is in range."""
    if seed < 0:
        raise BadInput(f"synthetic data: seed is {seed}; give a whole number of 0 or more.")
    for name, minutes in (("train_minutes", train_minutes), ("test_minutes", test_minutes)):
        if not (minutes * 60.0 >= _SHORTEST_S and np.isfinite(minutes)):
            raise BadInput(
                f"synthetic data: {name} is {minutes}; give at least {_SHORTEST_S / 60:.3f} (half a second)."
            )
    for name, count in (("train_subjects", train_subjects), ("test_subjects", test_subjects)):
        if count < 1 or count != int(count):
            raise BadInput(f"synthetic data: {name} is {count}; give a whole number of 1 or more.")
    if not 10.0 <= fps <= 1000.0:
        raise BadInput(f"synthetic data: fps is {fps}; give 10 to 1000 frames per second.")
    unknown = [name for name in actions or () if name not in ACTIONS]
    if unknown:
        raise BadInput(
            f"synthetic data: unknown action {unknown[0]!r}. {suggestion(unknown[0], ACTIONS)}"
            f"Known: {', '.join(ACTIONS)}."
        )
    if actions is not None and not actions:
        raise BadInput("synthetic data: actions is empty; name at least one or leave it out.")
    return tuple(actions) if actions else tuple(ACTIONS)

"""The protocol behind an accuracy figure, as one line that is printed with it.

The idea is sacreBLEU's (Post, WMT 2018): figures whose protocols differ are not comparable, so the protocol travels
with the figure. The long form names every choice and the short form abbreviates the names:

    MPJPE|protocol:all|data:h36m|2d:cpn|test:S9,S11|T:243|frames:all:543344|clips:overlap-last|avg:frame|joints:17|
    root:0|align:none|flip:yes|unit:mm|space:camera|v:1          (one line)

Figures are ranked against each other only within one ``group()``. T is shown but does not part groups under the
frame sets ``all`` and ``valid``: there every frame is scored once whatever T is, so that T, like depth or width, is a
property of the model and a reader wants to see what a longer window gains. With it go ``pad``, the number of sequences
shorter than T (padding changes what the model sees of them, not which frames are scored), and ``clips``: a lifter that
answers for one frame needs a window a frame, one that answers for all does not. Under any other frame set the scored
frames depend on all three, and they count. ``precision`` never parts groups: which frames are scored does not depend
on it, and what 16 bits cost in accuracy is what a reader wants to see. ``==`` compares everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import BadInput, suggestion

#: Long key -> short key, in the order they are printed.
_SHORT_KEYS = {
    "protocol": "P", "data": "d", "2d": "2", "test": "s", "T": "T", "frames": "n", "clips": "c", "blocked": "b",
    "avg": "a", "joints": "j", "root": "r", "align": "l", "flip": "f", "unit": "u", "space": "x", "truth": "t",
    "xy": "y", "pad": "p", "missing": "m", "precision": "i", "v": "v",
}  # fmt: skip
#: What a key that is not printed means: with these values it says nothing.
_UNSAID = {"blocked": "0", "truth": "camera", "xy": "predicted", "pad": "edge:0", "missing": "0", "precision": "fp32"}
_LONG_KEYS = {short: long for long, short in _SHORT_KEYS.items()}
#: Frame sets in which every frame is scored once.
_EVERY_FRAME = ("all", "valid")


@dataclass(frozen=True)
class Signature:
    """One protocol; printed key in brackets.

    metric                figure it belongs to, ``MPJPE`` or another of ``harness.evaluation.metrics``
    protocol              name of the rules as a whole, see harness.evaluation.protocol
    data, detector [2d]   names of the data set and of the source of its 2D keypoints
    test                  test subjects
    window [T]            frames the model sees at once
    frame_set, scored_frames [frames]  which frames count, and how many they are
    clips                 how sequences are cut: ``overlap-last``, ``sliding-centre``, see harness.data.clips
    blocked               number of sequences that the protocol leaves out
    average [avg]         ``frame`` or ``action``: what the mean is taken over
    joints, root          joints scored, and the joint at the origin; ``0:kept``: of the truth alone
    align                 ``none`` or ``procrustes``
    flip                  whether predictions of the clip and of its mirror image are averaged
    unit, space           ``space:camera`` decodes without the truth, ``space:image`` with the true depth of the root
    truth                 ``image``: the truth itself is in the image (2.5-D), not in camera space
    xy                    ``input``: the predicted x and y were replaced by the detections'
    padded_sequences, padding [pad]    sequences shorter than the window, and how they fill it: ``edge``, by their last
                          frame, or ``resample``
    missing_truth_frames [missing]     frames left out for want of truth
    precision             of inference, see harness.precision
    version [v]           of this rule book: it rises when the same words come to mean other figures
    """

    data: str
    detector: str
    test: tuple[str, ...]
    window: int
    scored_frames: int
    metric: str = "MPJPE"
    protocol: str = "all"
    frame_set: str = "all"
    clips: str = "overlap-last"
    blocked: int = 0
    average: str = "frame"
    joints: str = "17"
    root: str = "0"
    align: str = "none"
    flip: bool = True
    unit: str = "mm"
    space: str = "camera"
    truth: str = "camera"
    xy: str = "predicted"
    padded_sequences: int = 0
    padding: str = "edge"
    missing_truth_frames: int = 0
    precision: str = "fp32"
    version: int = 1

    def __post_init__(self) -> None:
        for key, value in self.fields().items():
            if not value or "|" in value:
                raise BadInput(f"signature field {key}: {value!r} cannot be written; it must not be empty or hold '|'")
        if any(not subject or "," in subject for subject in self.test) or ":" in self.frame_set:
            raise BadInput(
                f"signature: subject names {self.test} must not hold ',' nor frame set {self.frame_set!r} ':'"
            )

    def fields(self) -> dict[str, str]:
        """Long key -> value, in the printed order, ``metric`` first."""
        every = {
            "metric": self.metric,
            "protocol": self.protocol,
            "data": self.data,
            "2d": self.detector,
            "test": ",".join(self.test),
            "T": str(self.window),
            "frames": f"{self.frame_set}:{self.scored_frames}",
            "clips": self.clips,
            "blocked": str(self.blocked),
            "avg": self.average,
            "joints": self.joints,
            "root": self.root,
            "align": self.align,
            "flip": "yes" if self.flip else "no",
            "unit": self.unit,
            "space": self.space,
            "truth": self.truth,
            "xy": self.xy,
            "pad": f"{self.padding if self.padded_sequences else 'edge'}:{self.padded_sequences}",
            "missing": str(self.missing_truth_frames),
            "precision": self.precision,
            "v": str(self.version),
        }
        return {key: value for key, value in every.items() if _UNSAID.get(key) != value}

    def long(self) -> str:
        """``MPJPE|data:h36m|2d:sh|…``"""
        return _joined(self.fields())

    def short(self) -> str:
        """``MPJPE|d:h36m|2:sh|…``: the same values under one-letter keys."""
        return _joined({_SHORT_KEYS.get(key, key): value for key, value in self.fields().items()})

    def group(self) -> str:
        """The part that must be equal for two figures to be ranked against each other, written as in ``long``."""
        ignored = self._fields_of_the_model()
        return _joined({key: value for key, value in self.fields().items() if key not in ignored})

    def difference(self, other: Signature) -> list[str]:
        """Long keys in which the two groups differ; empty where the figures may be ranked against each other."""
        mine, theirs = self.fields(), other.fields()
        ignored = self._fields_of_the_model() | other._fields_of_the_model()
        return [key for key in ("metric", *_SHORT_KEYS) if key not in ignored and mine.get(key) != theirs.get(key)]

    def comparable(self, other: Signature) -> bool:
        """Whether figures of the two protocols may be ranked against each other."""
        return not self.difference(other)

    @classmethod
    def parse(cls, text: str) -> Signature:
        """The signature that ``long`` or ``short`` wrote. Raises BadInput, naming the part, for anything else."""
        metric, *parts = text.strip().split("|")
        values = {"metric": metric}
        for part in parts:
            key, colon, value = part.partition(":")
            key = _LONG_KEYS.get(key, key)
            if key not in _SHORT_KEYS or not colon or key in values:
                raise BadInput(f"signature {text!r}: cannot read {part!r}. {suggestion(key, _SHORT_KEYS)}")
            values[key] = value
        try:
            return cls._from_fields(values)
        except KeyError as missing:
            raise BadInput(f"signature {text!r}: {missing.args[0]} is not given") from missing
        except ValueError as error:
            raise BadInput(f"signature {text!r}: {error}") from error

    @classmethod
    def _from_fields(cls, values: dict[str, str]) -> Signature:
        values = {**_UNSAID, **values}
        frame_set, _, scored_frames = values["frames"].partition(":")
        padding, _, padded_sequences = values["pad"].partition(":")
        if padding not in ("edge", "resample") or values["flip"] not in ("yes", "no"):
            raise ValueError(f"pad must be edge:NUMBER and flip yes or no, not {padding!r} and {values['flip']!r}")
        return cls(
            metric=values["metric"],
            # Before there was a choice it was not written.
            protocol=values.get("protocol", "all"),
            data=values["data"],
            detector=values["2d"],
            test=tuple(values["test"].split(",")),
            window=int(values["T"]),
            frame_set=frame_set,
            scored_frames=int(scored_frames),
            clips=values["clips"],
            average=values["avg"],
            blocked=int(values["blocked"]),
            joints=values["joints"],
            root=values["root"],
            align=values["align"],
            flip=values["flip"] == "yes",
            unit=values["unit"],
            space=values["space"],
            truth=values["truth"],
            xy=values["xy"],
            padded_sequences=int(padded_sequences),
            padding=padding,
            missing_truth_frames=int(values["missing"]),
            precision=values["precision"],
            version=int(values["v"]),
        )

    def _fields_of_the_model(self) -> set[str]:
        return {"precision", *(("T", "pad", "clips") if self.frame_set in _EVERY_FRAME else ())}


def _joined(fields: dict[str, str]) -> str:
    return "|".join(value if key == "metric" else f"{key}:{value}" for key, value in fields.items())

"""Whether a published set is there in full: frames, takes, actions and cameras against the totals known of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Many

from harness.data import h36m_contents, mpi_inf_3dhp_published, pw3d
from harness.data.checks.look import Finding
from harness.data.sequence import Dataset, Sequence

_NAMED = 8


def compare(name: str, expected: Mapping[str, int], found: Mapping[str, int]) -> Finding:
    """What is missing, too few, too many or not known of; all is well where the numbers are equal."""
    wrong = [
        f"{what} is missing" if not found.get(what) else f"{what} has {found[what]:,}, published are {number:,}"
        for what, number in expected.items()
        if found.get(what, 0) != number
    ]
    wrong += [f"{what} is not of the set" for what in found if what not in expected]
    if wrong:
        return Finding(name, "FAIL", _listed(wrong))
    return Finding(name, "ok", ", ".join(f"{what} {number:,}" for what, number in expected.items()))


def _listed(wrong: Many[str]) -> str:
    return "; ".join(wrong[:_NAMED]) + (f"; and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else "")


def check(dataset: Dataset, spec: str) -> list[Finding]:
    """Findings on the set that ``spec`` names; one that cannot be told where nothing is published of it."""
    kind, _, argument = spec.partition(":")
    if kind == "h36m":
        return _h36m(dataset)
    if kind == "3dhp":
        return [_mpi_inf_3dhp(dataset)]
    if kind == "3dpw":
        files = {part: len(paths) for part, paths in pw3d.sequence_files(argument).items()}
        return [compare("sequence files", pw3d.TOTALS, files)]
    return [Finding("totals", "?", "no set of known size")]


def _mpi_inf_3dhp(dataset: Dataset) -> Finding:
    wrong = [f"no {part} recordings" for part in ("train", "test") if not getattr(dataset, part)]
    wrong += mpi_inf_3dhp_published.differences(dataset)
    whole = "all recordings, cameras, frames and valid frames"
    return Finding("totals", "FAIL" if wrong else "ok", _listed(wrong) or whole)


def _h36m(dataset: Dataset) -> list[Finding]:
    sequences = (*dataset.train, *dataset.test)
    known = {subject for subjects in h36m_contents.SUBJECT_FRAMES for subject in subjects}
    known |= set(h36m_contents.SUBJECT_TAKES)
    if not known & {sequence.subject for sequence in sequences}:
        return [Finding("totals", "?", "these files do not say which subject a sequence is of")]
    parts = h36m_contents.ARCHIVE_FRAMES if dataset.space == "camera" else h36m_contents.PICKLE_FRAMES
    findings = [
        compare("frames by part", parts, {"train": _frames(dataset.train), "test": _frames(dataset.test)}),
        _h36m_training_frames(dataset.train),
        *(_h36m_actions(part, ones) for part, ones in (("training", dataset.train), ("test", dataset.test))),
    ]
    if dataset.space == "camera":
        takes = Counter(f"{one.subject} {one.camera.name}" for one in sequences)
        published = {
            f"{subject} {camera}": number
            for subject, number in h36m_contents.SUBJECT_TAKES.items()
            for camera in h36m_contents.CAMERAS
        }
        findings.append(compare("takes by subject and camera", published, takes))
    return findings


def _h36m_training_frames(train: Iterable[Sequence]) -> Finding:
    found: Counter[str] = Counter()
    expected = {"+".join(subjects): frames for subjects, frames in h36m_contents.SUBJECT_FRAMES.items()}
    group = {subject: "+".join(subjects) for subjects in h36m_contents.SUBJECT_FRAMES for subject in subjects}
    for sequence in train:
        found[group.get(sequence.subject, sequence.subject)] += len(sequence)
    return compare("frames by training subject", expected, found)


def _h36m_actions(part: str, sequences: Iterable[Sequence]) -> Finding:
    found = {h36m_contents.common_action(one.action) or one.action for one in sequences}
    finding = compare(f"{part} actions", dict.fromkeys(h36m_contents.ACTIONS, 1), dict.fromkeys(found, 1))
    return Finding(finding.name, "ok", f"all {len(found)}") if finding.verdict == "ok" else finding


def _frames(sequences: Iterable[Sequence]) -> int:
    return sum(map(len, sequences))

"""Protocols against slow implementations of the published rules, written from their description alone."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from harness.data.clips import repeated, split, split_videos
from harness.data.mpi_inf_3dhp_joints import PCK_JOINTS
from harness.data.sequence import Sequence
from harness.errors import BadInput
from harness.evaluation.predict import Run
from harness.evaluation.protocol import PROTOCOLS, SHIFTED_TAKES, protocol
from harness.evaluation.scores import Scores, score
from tests.harness.evaluation.scenes import filmed, truth

Float64Array = NDArray[np.float64]

#: MotionBERT's own lists, made with its code under np.random.seed(0); those of 243 frames by first and last index.
GOLDEN = Path(__file__).with_name("split_clips.json")


def in_image(name: str, length: int, seed: int, take: str = "") -> Sequence:
    """A video as MotionBERT's pickle has it: truth in pixels, a factor for each frame."""
    rng = np.random.default_rng([seed, length])
    camera = filmed(name, length, seed)
    return dataclasses.replace(
        camera,
        take=take or camera.take,
        truth=np.concatenate([camera.keypoints, rng.normal(0, 80, (length, 17, 1))], axis=-1).astype(np.float64),
        mm_per_pixel=rng.uniform(2.9, 4.7, length),
    )


VIDEOS = [
    in_image("S9/Walk/1/a", 40, 0),
    in_image("S9/Greet/2/a", 33, 1, take=SHIFTED_TAKES[0]),
    in_image("S9/Eat/1/a", 5, 2),
    in_image("S11/Walk/1/a", 27, 3),
    in_image("S11/Eat/1/a", 9, 4),
    in_image("S11/Walk/2/a", 7, 5),
]


def answers(clips: list[list[NDArray[np.intp]]], videos: list[Sequence]) -> list[list[Run]]:
    """Random answers, so that two clips that share a frame do not agree on it."""
    rng = np.random.default_rng(7)
    return [[Run(clip, rng.normal(0, 300, (len(clip), 17, 3))) for clip in of_video] for of_video in clips]


def slow_p_mpjpe(prediction: Float64Array, target: Float64Array) -> float:
    """One frame, by scipy's rotation and the best scale."""
    centred, truth_centred = prediction - prediction.mean(axis=0), target - target.mean(axis=0)
    turned = Rotation.align_vectors(truth_centred, centred)[0].apply(centred)
    scale = (turned * truth_centred).sum() / (turned**2).sum()
    return float(np.mean(np.linalg.norm(scale * turned - truth_centred, axis=-1)))


def slow_motionbert(videos: list[Sequence], runs: list[list[Run]]) -> dict[str, tuple[float, float, float]]:
    """Mean P1, P2 and MotionAGFormer's acceleration error by action, one frame after the other."""
    results: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for video, clips in zip(videos, runs, strict=True):
        if video.take in SHIFTED_TAKES:
            continue
        sums, count = np.zeros((len(video), 3)), np.zeros(len(video))
        for clip in clips:
            errors = {}
            for place, frame in enumerate(clip.frames):
                factor = video.mm_per_pixel[frame]
                target = (video.truth[frame] - video.truth[frame][0]) * factor
                prediction = clip.poses_mm[place] - clip.poses_mm[place][0]
                p1 = float(np.mean([np.linalg.norm(prediction[joint] - target[joint]) for joint in range(17)]))
                errors[int(frame)] = (p1, slow_p_mpjpe(prediction, target), prediction, target)
            accelerations = {}
            poses = [clip.poses_mm[place] - clip.poses_mm[place][0] for place in range(len(clip.frames))]
            targets = [(video.truth[f] - video.truth[f][0]) * video.mm_per_pixel[f] for f in clip.frames]
            for place in range(len(clip.frames) - 2):
                second = [rows[place] - 2 * rows[place + 1] + rows[place + 2] for rows in (poses, targets)]
                accelerations[int(clip.frames[place])] = np.linalg.norm(second[0] - second[1], axis=-1).mean()
            for frame, (p1, p2, *_) in errors.items():
                sums[frame] += (p1, p2, accelerations.get(frame, 0.0))
                count[frame] += 1
        results[video.action] += [tuple(sums[frame] / count[frame]) for frame in range(len(video)) if count[frame]]
    return {action: tuple(np.mean(values, axis=0)) for action, values in results.items()}


def scored(videos: list[Sequence], runs: list[list[Run]], name: str) -> Scores:
    kept = PROTOCOLS[name].scored(videos, 9)
    return score([runs[videos.index(video)] for video in kept], kept, PROTOCOLS[name])


@pytest.mark.parametrize("stride", [9, 3, 4])
def test_motionbert_is_the_published_rule(stride: int) -> None:
    clips = split_videos([len(video) for video in VIDEOS], 9, stride, np.random.RandomState(0))
    runs = [
        [Run(run.frames, run.poses_mm - run.poses_mm[:, :1]) for run in of_video] for of_video in answers(clips, VIDEOS)
    ]
    expected = slow_motionbert(VIDEOS, runs)
    figures = scored(VIDEOS, runs, "motionbert")
    assert {action: entry["p1_mm"] for action, entry in figures.per_action.items()} == pytest.approx(
        {action: p1 for action, (p1, _, _) in expected.items()}, abs=1e-6
    )
    assert {action: entry["p2_mm"] for action, entry in figures.per_action.items()} == pytest.approx(
        {action: p2 for action, (_, p2, _) in expected.items()}, abs=1e-6
    )
    means = np.mean(list(expected.values()), axis=0)
    assert [figures.p1_mm, figures.p2_mm, figures.acceleration_motionagformer_mm_per_frame2] == pytest.approx(
        list(means), abs=1e-6
    )


def test_motionbert_leaves_out_what_is_published_to_be_left_out() -> None:
    kept = PROTOCOLS["motionbert"].scored(VIDEOS, 9)
    assert [video.name for video in kept] == ["S9/Walk/1/a", "S9/Eat/1/a", "S11/Walk/1/a", "S11/Eat/1/a"]
    assert PROTOCOLS["motionbert"].scored(VIDEOS, 7)[-1] is VIDEOS[-1]  # the last one is just long enough
    with pytest.raises(BadInput, match="leaves no test sequence"):
        PROTOCOLS["motionbert"].scored(VIDEOS[-1:], 9)
    windows = list(split(9).windows(40))
    assert [int(window.indices[0]) for window in windows] == [0, 9, 18, 27]  # 4 frames are in none
    assert split(9).count(40) == 4
    assert split(9).count(5) == len(list(split(9).windows(5))) == 1


@pytest.mark.parametrize("case", json.loads(GOLDEN.read_text()), ids=str)
def test_the_authors_clip_lists(case: dict[str, object]) -> None:
    lengths, frames, stride = case["lengths"], case["n_frames"], case["stride"]
    assert isinstance(lengths, list)
    firsts = np.cumsum([0, *lengths])
    found = split_videos(lengths, frames, stride, np.random.RandomState(0))  # type: ignore[arg-type]
    clips = [(clip + first).tolist() for first, of_video in zip(firsts, found, strict=False) for clip in of_video]
    short = [clip if len(case["clips"][0]) > 2 else [clip[0], clip[-1]] for clip in clips]  # type: ignore[index]
    assert short == case["clips"]
    assert sum(lengths) - len({frame for clip in clips for frame in clip}) == case["uncovered"]


def test_resampling_is_never_left_to_chance() -> None:
    assert split_videos([3, 9], 5, 5)[0][0].tolist() == [0, 0, 1, 1, 2]
    assert split_videos([], 5, 5) == []


def test_mixste_counts_the_overlap_twice_and_pads() -> None:
    videos = [filmed("S9/Walk/1/a", 12), filmed("S9/Eat/1/a", 3, seed=1)]
    rng = np.random.default_rng(3)
    predictions = [rng.normal(0, 300, (len(video), 17, 3)) for video in videos]
    runs = [
        [Run(window.answers, prediction[window.answers]) for window in repeated(5).windows(len(video))]
        for video, prediction in zip(videos, predictions, strict=True)
    ]
    frames = [[*range(10), *range(7, 12)], [0, 1, 2, 2, 2]]
    errors = [
        np.linalg.norm(prediction[order] - truth(video)[order], axis=-1).mean(axis=-1)
        for video, prediction, order in zip(videos, predictions, frames, strict=True)
    ]
    figures = score(runs, videos, PROTOCOLS["mixste"])
    assert figures.frames == 20
    assert figures.p1_mm == pytest.approx((errors[0].mean() + errors[1].mean()) / 2)


def test_videopose3d_keeps_the_predicted_pelvis_and_weighs_videos_by_frames() -> None:
    videos = [filmed("S9/Walk/1/a", 12), filmed("S9/Walk/1/b", 30, seed=1), filmed("S9/Eat/1/a", 8, seed=2)]
    rng = np.random.default_rng(3)
    predictions = [truth(video) + rng.normal(0, 30, (len(video), 17, 3)) for video in videos]
    runs = [[Run(np.arange(len(prediction)), prediction)] for prediction in predictions]
    figures = score(runs, videos, PROTOCOLS["videopose3d"])
    errors = [
        np.linalg.norm(prediction - truth(video), axis=-1).mean(axis=-1)
        for video, prediction in zip(videos, predictions, strict=True)
    ]
    assert figures.p1_mm == pytest.approx((np.concatenate(errors[:2]).mean() + errors[2].mean()) / 2)
    velocity = [
        np.linalg.norm(np.diff(prediction - truth(video), axis=0), axis=-1).mean()
        for video, prediction in zip(videos, predictions, strict=True)
    ]
    assert figures.mpjve_mm_per_frame == pytest.approx(((12 * velocity[0] + 30 * velocity[1]) / 42 + velocity[2]) / 2)


def test_only_valid_frames_count_and_differences_need_neighbours() -> None:
    valid = np.ones(12, dtype=bool)
    valid[[0, 5]] = False
    video = dataclasses.replace(filmed("TS1/outdoor/1/a", 12), valid=valid)
    prediction = truth(video) + np.random.default_rng(3).normal(0, 30, (12, 17, 3))
    frames = np.flatnonzero(valid)
    figures = score([[Run(frames, prediction[frames])]], [video], PROTOCOLS["3dhp"])
    errors = np.linalg.norm(prediction - truth(video), axis=-1)
    assert (figures.frames, figures.missing_truth_frames) == (10, 0)
    assert figures.p1_mm == pytest.approx(errors[valid].mean())
    measured = errors[valid][:, list(PCK_JOINTS)]
    assert figures.pck150_percent == pytest.approx(100 * (measured < 150).mean())
    thresholds = np.arange(0, 151, 5)
    assert figures.auc_percent == pytest.approx(np.mean([100 * (measured < mm).mean() for mm in thresholds]))
    velocity = np.linalg.norm(np.diff(prediction - truth(video), axis=0), axis=-1).mean(axis=-1)
    assert figures.mpjve_mm_per_frame == pytest.approx(velocity[[1, 2, 3, 6, 7, 8, 9, 10]].mean())
    assert figures.per_action["outdoor"]["pck150_percent"] == figures.pck150_percent


def test_joints_without_a_truth_do_not_count() -> None:
    joints = (1, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16)
    video = filmed("a/b/1/c", 6)
    prediction = truth(video).copy()
    prediction[:, [7, 10]] += 1000.0
    figures = score([[Run(np.arange(6), prediction)]], [video], PROTOCOLS["3dpw"], joints)
    assert figures.p1_mm == pytest.approx(0, abs=1e-9)
    assert list(figures.per_joint) == [name for name in figures.per_joint if name not in ("pelvis", "spine", "head")]


@pytest.mark.parametrize("name", list(PROTOCOLS))
def test_the_truth_scores_zero_under_every_protocol(name: str) -> None:
    videos = VIDEOS if name == "motionbert" else [filmed("S9/Walk/1/a", 12), filmed("S9/Eat/1/a", 30, seed=1)]
    kept = PROTOCOLS[name].scored(videos, 9)
    targets = [
        (video.truth - video.truth[:, :1]) * video.mm_per_pixel[:, None, None]
        if video.mm_per_pixel is not None
        else truth(video)
        for video in kept
    ]
    runs = [[Run(np.arange(len(target)), target)] for target in targets]
    figures = score(runs, kept, PROTOCOLS[name])
    assert figures.p1_mm == pytest.approx(0, abs=1e-9)
    assert figures.p2_mm == pytest.approx(0, abs=1e-9)
    assert figures.n_mpjpe_mm == pytest.approx(0, abs=1e-9)
    assert figures.mpjve_mm_per_frame == pytest.approx(0, abs=1e-9)


def test_an_unknown_protocol() -> None:
    with pytest.raises(BadInput, match=r"unknown protocol 'motionbart'\. Did you mean: motionbert"):
        protocol("motionbart")

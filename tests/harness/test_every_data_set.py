"""Every data set, from tiny files in the published layouts, trained on and scored through the whole harness."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from harness import config, evaluating, run
from harness.measurement import inference
from harness.measurement.timing import Protocol
from harness.training.budget import Budget
from tests.harness.data import h36m_files, mpi_inf_3dhp_files, pw3d_files


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(inference, "PROTOCOL", Protocol(min_seconds=0.0, min_samples=6, warm_up_calls=1))
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(deterministic)


def archives(folder: Path) -> str:
    return f"h36m:{h36m_files.write_archives(folder)}"


def big_pickle(folder: Path) -> str:
    return f"h36m:{h36m_files.write_pickle(folder / 'h36m_sh_conf_cam_source_final.pkl', h36m_files.pickle_content())}"


def annotated(folder: Path) -> str:
    return f"3dhp:{mpi_inf_3dhp_files.write_all(folder)}"


def outdoors(folder: Path) -> str:
    return f"3dpw:{pw3d_files.write_set(folder)}"


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("write", "protocol", "signature"),
    [
        (archives, "auto", ("protocol:all|data:h36m|2d:cpn", "frames:all", "space:camera|")),
        (archives, "motionbert", ("protocol:motionbert|data:h36m|2d:cpn", "frames:split", "space:image|truth:image|")),
        (archives, "videopose3d", ("protocol:videopose3d", "clips:sliding-centre|avg:action", "root:0:kept")),
        (archives, "mixste", ("protocol:mixste", "frames:repeated", "avg:action", "root:0:kept")),
        (big_pickle, "auto", ("protocol:all|data:h36m|2d:sh", "frames:all", "space:image|truth:image|")),
        (big_pickle, "motionbert", ("protocol:motionbert|data:h36m|2d:sh", "frames:split", "avg:action")),
        (annotated, "auto", ("protocol:3dhp|data:3dhp|2d:gt", "frames:valid", "joints:17|root:0|")),
        (outdoors, "auto", ("protocol:3dpw|data:3dpw|2d:openpose", "frames:valid", "joints:14:smpl")),
    ],
)  # fmt: skip
def test_a_run_on_the_published_files(
    write: Callable[[Path], str], protocol: str, signature: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    planned = config.resolve(
        "martinez",
        options={"dim": 16},
        data=write(tmp_path / "data"),
        protocol_name=protocol,
        frames=9,
        batch_size=2,
        budget=Budget(steps=2),
        threads=1,
    )
    record = run.run(planned, tmp_path / "results", lambda line: None)
    assert record["status"] == "ok"
    for part in signature:
        assert f"|{part}" in f"|{record['signature']['long']}"
    assert 0 < record["accuracy"]["p2_mm"] < record["accuracy"]["p1_mm"]
    assert set(record["floors"]) == {"zero_depth", "mean_pose", "linear"}
    assert (record["accuracy"]["pck150_percent"] is None) == (planned.protocol != "3dhp")
    again = evaluating.evaluate(evaluating.Request(run_id=record["id"]), tmp_path / "results", lambda line: None)
    assert again["accuracy"] == record["accuracy"]
    assert again["signature"] == record["signature"]

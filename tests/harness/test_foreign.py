"""Whole files as the authors' training scripts save them, in every serialisation that is around.

The contents follow the scripts named beside them; the random states, scalars and optimiser states are pickled here.
Where another numpy, another torch or a GPU would have written other names into the file, these are put in its place.
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import zipfile
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness import weights
from harness.errors import BadInput


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))


def trained(amsgrad: bool = False) -> tuple[nn.Sequential, dict[str, Any]]:
    """A network after a step, and its optimiser's state."""
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), amsgrad=amsgrad)
    model(torch.randn(5, 2)).square().sum().backward()
    optimizer.step()
    return model, optimizer.state_dict()


MODEL, OPTIMIZER = trained()
STATE = MODEL.state_dict()
PARALLEL = OrderedDict((f"module.{key}", value) for key, value in STATE.items())
SCALAR = np.float64(37.5)

AUTHORS: dict[str, Callable[[], Mapping[str, Any]]] = {
    # MotionBERT and PoseMamba, train.py
    "motionbert": lambda: {
        "epoch": 3, "lr": 2e-4 * 0.99**3, "optimizer": OPTIMIZER, "model_pos": PARALLEL, "min_loss": SCALAR
    },
    # MotionAGFormer and TCPFormer, train.py
    "motionagformer": lambda: {
        "epoch": 3, "lr": 5e-4, "optimizer": OPTIMIZER, "model": PARALLEL, "min_mpjpe": SCALAR, "wandb_id": None
    },
    # MixSTE, run.py; PoseFormer and PoseFormerV2, run_poseformer.py; KTPFormer, run_ktpformer.py
    "mixste": lambda: {
        "epoch": 3, "lr": 4e-5, "random_state": np.random.RandomState(1234), "optimizer": OPTIMIZER,
        "model_pos": PARALLEL,
    },
    # VideoPose3D, run.py, semi-supervised or not
    "videopose3d": lambda: {
        "epoch": 3, "lr": 1e-3, "random_state": np.random.RandomState(1234), "optimizer": trained(amsgrad=True)[1],
        "model_pos": STATE, "model_traj": None, "random_state_semi": None,
    },
    "videopose3d, semi-supervised": lambda: {
        "epoch": 3, "lr": 1e-3, "random_state": np.random.RandomState(1234), "optimizer": OPTIMIZER,
        "model_pos": STATE, "model_traj": STATE, "random_state_semi": np.random.RandomState(1234),
    },
    # MHFormer, StridedTransformer, STCFormer and (in parallel) P-STMO, common/utils.py
    "mhformer": lambda: STATE,
    "p-stmo": lambda: PARALLEL,
    # 3d_pose_baseline_pytorch, main.py
    "baseline": lambda: {
        "epoch": 3, "lr": 1e-3, "step": 900, "err": SCALAR, "state_dict": STATE, "optimizer": OPTIMIZER
    },
    # nobody of these, but usual
    "with its command line": lambda: {
        "net": PARALLEL, "args": argparse.Namespace(frames=243, folder=Path("data")), "log": defaultdict(list, a=[1]),
        "mean": np.zeros((17, 3), np.float32), "generator": np.random.default_rng(0), "best": np.float32(2),
    },
}  # fmt: skip
WRAPPER = {
    "motionbert": "model_pos", "motionagformer": "model", "mixste": "model_pos", "videopose3d": "model_pos",
    "videopose3d, semi-supervised": "model_pos", "mhformer": "", "p-stmo": "", "baseline": "state_dict",
    "with its command line": "net",
}  # fmt: skip


def save(content: Any, path: Path, new_format: bool, **options: Any) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=new_format, **options)
    return path


def rewrite(path: Path, names: Mapping[bytes, bytes]) -> None:
    """Put other names into the file's pickle: the old format is nothing else, the new one an archive that holds it."""
    content = path.read_bytes()
    if not zipfile.is_zipfile(path):
        path.write_bytes(replaced(content, names))
        return
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(path, "w") as new:
        for entry in old.infolist():
            data = old.read(entry)
            new.writestr(entry.filename, replaced(data, names) if entry.filename.endswith("/data.pkl") else data)


def replaced(content: bytes, names: Mapping[bytes, bytes]) -> bytes:
    for old, new in names.items():
        content = content.replace(old, new)
    return content


def to_core(core: str) -> dict[bytes, bytes]:
    """numpy 1 or 2, whichever is running, to that whose innards are in ``numpy.{core}``."""
    return {f"cnumpy.{running}.".encode(): f"cnumpy.{core}.".encode() for running in ("core", "_core")}


#: X + four bytes of length + text is a string in a pickle.
ON_GPU = {b"ctorch\nFloatStorage": b"ctorch.cuda\nFloatStorage", b"X\x03\0\0\0cpu": b"X\x06\0\0\0cuda:0"}


def require_loaded(path: Path, author: str) -> weights.Loaded:
    model = network()
    loaded = weights.load(model, path)
    assert all(torch.equal(value, STATE[key]) for key, value in model.state_dict().items())
    assert loaded.wrapper == WRAPPER[author]
    return loaded


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("core", ["core", "_core"], ids=["numpy 1", "numpy 2"])
@pytest.mark.parametrize("author", AUTHORS)
def test_every_authors_file(author: str, core: str, new_format: bool, tmp_path: Path) -> None:
    path = save(AUTHORS[author](), tmp_path / "best_epoch.pth.tr", new_format)
    rewrite(path, to_core(core))
    loaded = require_loaded(path, author)
    best = [loaded.extra[key] for key in ("min_loss", "min_mpjpe", "err") if key in loaded.extra]
    assert all(type(value) is float and value == 37.5 for value in best)
    assert loaded.notes == (
        ("model_traj, another set of 9 weights in the file, is not used",) if author.endswith("semi-supervised") else ()
    )


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "old"])
def test_files_written_on_a_gpu(new_format: bool, tmp_path: Path) -> None:
    path = save(AUTHORS["motionbert"](), tmp_path / "w.bin", new_format)
    rewrite(path, ON_GPU)
    assert b"cuda:0" in path.read_bytes()
    require_loaded(path, "motionbert")


class Runs:
    """Pickles as a call of ``function``, and its state."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None) -> None:
        self.reduced = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.reduced


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "old"])
def test_random_states_of_numpy_before_117(new_format: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def constructor() -> None: ...

    constructor.__module__, constructor.__qualname__ = "numpy.random", "__RandomState_ctor"
    with monkeypatch.context() as patch:
        patch.setattr(np.random, "__RandomState_ctor", constructor, raising=False)
        state = Runs(constructor, state=np.random.RandomState(1234).get_state())
        path = save({**AUTHORS["videopose3d"](), "random_state": state}, tmp_path / "w.bin", new_format)
    require_loaded(path, "videopose3d")


class OfPython2(pickle._Pickler):  # type: ignore[name-defined]
    """Writes bytes as Python 2 wrote its strings, which is what they were."""

    def save_bytes(self, content: bytes) -> None:
        self.write(pickle.SHORT_BINSTRING + bytes([len(content)]) + content)
        self.memoize(content)

    dispatch = {**pickle._Pickler.dispatch, bytes: save_bytes}  # type: ignore[attr-defined]  # noqa: RUF012


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "old"])
def test_numbers_in_files_of_python_2(new_format: bool, tmp_path: Path) -> None:
    def dump(content: Any, file: Any, protocol: int) -> None:
        OfPython2(file, protocol).dump(content)

    python2 = SimpleNamespace(__name__="pickle", Pickler=OfPython2, dump=dump)
    content = {**AUTHORS["baseline"](), "err": np.float64(45.3)}
    path = save(content, tmp_path / "ckpt_best.pth.tar", new_format, pickle_module=python2)
    assert require_loaded(path, "baseline").extra["err"] == 45.3


def test_nothing_of_numpy_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(AUTHORS["videopose3d"](), tmp_path / "w.bin", True)

    def forbidden(*_: Any) -> None:
        raise AssertionError("ran")

    for name in ("__randomstate_ctor", "__bit_generator_ctor"):
        monkeypatch.setattr(np.random._pickle, name, forbidden)  # type: ignore[attr-defined]
    loaded = require_loaded(path, "videopose3d")
    assert repr(loaded.extra["random_state"]) == "<numpy.random._pickle.__randomstate_ctor, not read>"


@pytest.mark.parametrize(
    "number", [np.float32(0.5), np.float64(-2), np.int64(2**40), np.int32(-7), np.bool_(True), np.uint8(9), np.half(1)]
)
def test_numbers_keep_their_value(number: Any, tmp_path: Path) -> None:
    path = save({"model": STATE, "best": number}, tmp_path / "w.pt", True)
    best = weights.read(path)["best"]
    assert best == number.item()
    assert type(best) is type(number.item())


def test_numbers_of_a_machine_with_the_other_byte_order(tmp_path: Path) -> None:
    scalar = np.float64(0).__reduce__()[0]
    path = save(
        {"model": STATE, "best": Runs(scalar, np.dtype(">f8"), b"\x40\x02" + bytes(6))}, tmp_path / "w.pt", True
    )
    assert weights.read(path)["best"] == 2.25


def test_what_is_no_number_stays_unread(tmp_path: Path) -> None:
    path = save({"model": STATE, "when": np.datetime64("2020-01-01")}, tmp_path / "w.pt", True)
    assert "multiarray.scalar, not read" in repr(weights.read(path)["when"])


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch pwned",), "system"),
        (eval, ("open('pwned', 'w')",), "eval"),
        (getattr, ("text", "upper"), "getattr"),
        (np.load, ("w.pt",), "numpy.load"),
        (torch.load, ("w.pt",), r"torch.serialization.load"),
        (network, (), "test_foreign.network"),
    ],
)
def test_calls_are_refused_and_named(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    name: str,
    new_format: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    path = save({"model": STATE, "extra": Runs(function, *arguments)}, tmp_path / "w.pt", new_format)
    with pytest.raises(BadInput, match=rf"w\.pt is refused: it holds \S*{name}; a checkpoint may hold tensors"):
        weights.load(network(), path)
    assert not (tmp_path / "pwned").exists()


def test_a_whole_model_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = save(MODEL, tmp_path / "model.pt", True)
    with pytest.raises(BadInput, match=r"holds torch\.nn\.\S*Sequential; .* save the model's state_dict\(\) alone"):
        weights.load(network(), path)


def test_a_stand_in_keeps_what_it_is_given_and_no_more(tmp_path: Path) -> None:
    given = argparse.Namespace(frames=243)
    path = save({"model": STATE, "args": given}, tmp_path / "w.pt", True)
    assert weights.load(network(), path).extra["args"].state == {"frames": 243}

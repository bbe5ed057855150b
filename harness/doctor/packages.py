"""Packages: those that the harness needs and those that switch something on, each made to do what it is needed for."""

from __future__ import annotations

import functools
import importlib
import io
import platform
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from harness.doctor.check import Absent, Broken, Check, Need

PART = "packages"


def _torch() -> None:
    """A gradient worked out by hand: of sum(X X) by X[i, j], the sum of row j and of column i."""
    import numpy as np
    import torch

    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    (x @ x).sum().backward()
    assert x.grad is not None
    _require(x.grad.tolist() == [[7.0, 11.0], [9.0, 13.0]], "its gradient of a matrix product is wrong")
    # A torch that was built for another numpy computes, and cannot hand anything over.
    back = torch.from_numpy(np.arange(3.0)).numpy()
    _require(back.tolist() == [0.0, 1.0, 2.0], "numbers change on their way between torch and numpy")


def _numpy() -> None:
    import numpy as np

    solved = np.linalg.solve(np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([4.0, 7.0]))
    _require(bool(np.allclose(solved, [1.0, 2.0], rtol=0, atol=1e-12)), "it solves two equations wrongly")


def _pandas() -> None:
    import pandas

    means = pandas.DataFrame({"model": ["a", "b", "a"], "mm": [1.0, 2.0, 3.0]}).groupby("model")["mm"].mean()
    _require(means.to_dict() == {"a": 2.0, "b": 2.0}, "its means of groups are wrong")


def _matplotlib() -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    figure.subplots().plot([1, 2])
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg")
    _require(b"</svg>" in drawn.getvalue(), "no figure comes out")


def _seaborn() -> None:
    import numpy as np
    import seaborn
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    seaborn.lineplot(x=[1, 2], y=[3, 5], ax=axes)
    _require(np.asarray(axes.lines[0].get_ydata()).tolist() == [3, 5], "it draws other numbers than it is given")


def _fvcore() -> None:
    from fvcore.nn import FlopCountAnalysis
    from torch import nn, rand

    counted = FlopCountAnalysis(nn.Linear(4, 3), rand(2, 4)).unsupported_ops_warnings(False).total()
    _require(counted == 24, f"it counts {counted} for 24 multiply-accumulates")


def _jinja2() -> None:
    import jinja2

    page = jinja2.Environment(autoescape=True).from_string("{{ name }}").render(name="<script>")
    _require(page == "&lt;script&gt;", "it does not escape what it prints")


def _tensorboard() -> None:
    from harness.training.tensorboard_log import FILE_NAME, TensorBoardLog

    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        TensorBoardLog(Path(folder), {"seed": 0}, said.append).step(1, 0.5, 0.001)
        written = list(Path(folder).glob(f"{FILE_NAME}.*"))
    _require(bool(written) and not said, "no log comes out" + "".join(f": {line}" for line in said))


def _pyarrow() -> None:
    import pyarrow
    from pyarrow import parquet

    written = io.BytesIO()
    parquet.write_table(pyarrow.table({"mm": [1.5, None]}), written)
    read = parquet.read_table(io.BytesIO(written.getvalue())).to_pydict()
    _require(read == {"mm": [1.5, None]}, "a table changes when it is written and read")


def _h5py() -> None:
    import h5py

    written = io.BytesIO()
    with h5py.File(written, "w") as file:
        file["points"] = [1.0, 2.0]
    with h5py.File(written, "r") as file:
        _require(file["points"][:].tolist() == [1.0, 2.0], "an array changes when it is written and read")


def _numba() -> None:
    import numpy as np

    numba: Any = importlib.import_module("numba")

    @numba.njit(parallel=True)
    def doubled(x: Any) -> Any:
        y = np.empty_like(x)
        for index in numba.prange(len(x)):
            y[index] = 2 * x[index]
        return y

    _require(doubled(np.arange(3.0)).tolist() == [0.0, 2.0, 4.0], "a compiled loop computes wrongly")


def _thop() -> None:
    from torch import nn, rand

    thop: Any = importlib.import_module("thop")
    macs, parameters = thop.profile(nn.Sequential(nn.Linear(4, 3)), inputs=(rand(2, 4),), verbose=False)
    _require((int(macs), int(parameters)) == (24, 15), f"it counts {macs:g} for 24 multiply-accumulates")


def _ray() -> None:
    import ray

    _require(hasattr(ray.remote(_require), "remote"), "it makes no task of a function")


def _submitit() -> None:
    import submitit

    with tempfile.TemporaryDirectory() as folder:
        job = submitit.AutoExecutor(folder, cluster="debug").submit(abs, -3)
        _require(job.result() == 3, "a job gives another result than its function")


def _tomli() -> None:
    import tomli

    _require(tomli.loads("seed = [0, 1]") == {"seed": [0, 1]}, "it reads something else than there is")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Broken(otherwise)


def examined(package: str, remedy: str, exercise: Callable[[], None], results: Path) -> str:
    """The version of ``package``, after ``exercise``. Raises Absent where there is no module of its name."""
    try:
        importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name == package:
            raise Absent("it is not installed", remedy) from error
        raise
    exercise()
    return metadata.version(package)


def python_version(results: Path) -> str:
    """And what it runs on."""
    return f"{platform.python_version()} on {platform.platform()}"


def _check(package: str, meaning: str, exercise: Callable[[], None], need: Need = Need.NEVER) -> Check:
    examine = functools.partial(examined, package, f"pip install {package}", exercise)
    return Check(PART, package, meaning, examine, need, f"pip install --force-reinstall {package}")


CHECKS = (
    Check(PART, "python", "everything here is written in it", python_version, Need.ALWAYS),
    _check("torch", "lifters are built, trained and run with it", _torch, Need.ALWAYS),
    _check("numpy", "data and errors are its arrays", _numpy, Need.ALWAYS),
    _check("pandas", "tables are grouped with it", _pandas, Need.ALWAYS),
    _check("matplotlib", "figures are drawn with it", _matplotlib, Need.ALWAYS),
    _check("seaborn", "figures have its theme, and some its plots", _seaborn, Need.ALWAYS),
    _check("fvcore", "operations are counted with it", _fvcore, Need.ALWAYS),
    _check("jinja2", "the report's page is filled in with it", _jinja2, Need.ALWAYS),
    *(
        [_check("tomli", "harness sweep reads its grids with it", _tomli, Need.ALWAYS)]
        if sys.version_info < (3, 11)  # later ones have their own
        else []
    ),
    _check("pyarrow", "harness export parquet; without it export csv and jsonl", _pyarrow),
    _check("tensorboard", "harness run --tensorboard; without it the curves are in the record", _tensorboard),
    _check("h5py", "harness classify on ModelNet40 and ScanObjectNN; nothing else reads HDF5", _h5py),
    _check("numba", "a peer of the scan in benchmarks/scan.py, which leaves it out otherwise", _numba),
    _check("ray", "harness sweep --executor ray; a cluster is tried when it is joined", _ray),
    _check("submitit", "harness sweep --executor slurm; --print needs sbatch alone", _submitit),
    _check("thop", "the tests hold our counts against it; counting itself has the rules of its own", _thop),
)

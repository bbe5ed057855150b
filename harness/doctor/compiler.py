"""A C++ compiler, asked to build a library such as the native kernels' and to have it loaded and called."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from harness.doctor.check import Absent, Broken, Check

_REMEDY = "apt-get install g++   (or your system's package with a C++ compiler)"
_SOURCE = """
extern "C" int sum_to(int n) {
    int sum = 0;
    #pragma omp parallel for reduction(+ : sum)
    for (int i = 1; i <= n; ++i) sum += i;
    return sum;
}
"""
_FLAGS = ("-O3", "-std=gnu++17", "-shared", "-fPIC")


def compiler(results: Path) -> str:
    """The one that an installation takes: of CXX, else the one Python was built with, else what is on the PATH."""
    words = command()
    if words is None:
        raise Absent("there is none on the PATH", _REMEDY)
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "sum.cpp", Path(folder) / "sum.so"
        source.write_text(_SOURCE)
        built = [*words, *_FLAGS, str(source), "-o", str(library)]
        with_openmp = _run([*built, "-fopenmp"])
        if with_openmp.returncode != 0 and (plain := _run(built)).returncode != 0:
            raise Broken(f"{words[0]} compiles nothing: {_last_line(plain.stderr)}")
        _require_sum(library)
    threads = "with OpenMP" if with_openmp.returncode == 0 else "without OpenMP: kernels for one thread"
    return f"{_version(words)}, {threads}"


def command() -> list[str] | None:
    """The compiler's words, or None where no such program is found."""
    for asked in (os.environ.get("CXX"), sysconfig.get_config_var("CXX"), "c++", "g++", "clang++"):
        words = shlex.split(asked or "")
        if words and shutil.which(words[0]):
            return words
    return None


def _require_sum(library: Path) -> None:
    try:
        total = ctypes.CDLL(str(library)).sum_to(100)
    except OSError as error:
        raise Broken(
            f"what it builds does not load ({error})", "export TMPDIR=~/tmp   (a folder that allows programs)"
        ) from error
    if total != 5050:
        raise Broken(f"what it builds sums 1 to 100 to {total}")


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def _version(words: list[str]) -> str:
    return _run([*words, "--version"]).stdout.partition("\n")[0].strip() or words[0]


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it says nothing"


CHECKS = (
    Check(
        "machine",
        "C++ compiler",
        "builds the native scan when the harness is installed; no longer needed then",
        compiler,
        remedy=_REMEDY,
    ),
)

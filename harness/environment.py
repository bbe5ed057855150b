"""The machine and software a figure was made on, as it goes into every record."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from harness.threads import WAIT_POLICY

PACKAGES = ("torch", "numpy", "pandas", "fvcore", "seaborn", "click", "mamba-ssm")


def capture() -> dict[str, Any]:
    """Versions, processor, threads, precision and determinism flags, commit. What cannot be found out is None."""
    cuda = torch.cuda.is_available()
    return {
        "harness": _version("pose-lifting-harness"),
        "commit": _commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_bytes": _memory_bytes(),
        "threads": torch.get_num_threads(),
        "openmp_wait_policy": os.environ.get(WAIT_POLICY),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "cuda": torch.version.cuda if cuda else None,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "autocast": False,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any] | None:
    """Commit of the harness's own checkout and whether it had changes; None for an installed copy or without git."""
    root = Path(__file__).resolve().parent.parent
    if shutil.which("git") is None or not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return {"id": commit, "dirty": bool(_git(root, "status", "--porcelain", "--untracked-files=no"))}
    except (subprocess.SubprocessError, OSError):
        return None


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _processor() -> str | None:
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or None


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None

"""The machine and software a figure was made on, as it goes into every record."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from harness.threads import WAIT_POLICY

_ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "numpy", "pandas", "fvcore", "seaborn", "click", "mamba-ssm")


def capture(precision: str = "fp32", training_precision: str = "fp32") -> dict[str, Any]:
    """Versions, processor, threads, precision and determinism flags, commit. What cannot be found out is None.

    ``precision`` is that of inference, which ``autocast`` has where there is one; ``training_autocast`` that of the
    forward pass in training, where it is reduced.
    """
    cuda = torch.cuda.is_available()
    return {
        "harness": _version("pose-lifting-harness"),
        "commit": _commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": usable_cores(),
        "memory_bytes": _memory_bytes(),
        "threads": torch.get_num_threads(),
        "openmp_wait_policy": os.environ.get(WAIT_POLICY),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "cuda": torch.version.cuda if cuda else None,
        "driver": _driver() if cuda else None,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "autocast": False if precision == "fp32" else precision,
        **({} if training_precision == "fp32" else {"training_autocast": training_precision}),
    }


#: What of an environment can change how long a forward takes or what is counted of it.
_DECISIVE = (
    "python", "system", "processor", "cores", "openmp_wait_policy", "cpu_capability", "gpu", "cuda", "driver",
    "float32_matmul_precision", "deterministic_algorithms",
)  # fmt: skip
_DECISIVE_PACKAGES = ("torch", "numpy", "fvcore", "mamba-ssm")
#: A virtual machine's memory is not quite the same after every start.
_MEMORY_STEP_BYTES = 1 << 30
_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def key(environment: Mapping[str, Any]) -> str:
    """Digest of what in ``environment`` can change a figure; figures with different keys are not averaged.

    ``environment`` is what ``capture`` gives. Threads belong to what is measured, and code to the single figure
    (``model_code``, ``measurement_code``): all models on one machine share a key, whatever is changed in one of them.
    """
    packages = environment.get("packages") or {}
    decisive = {
        **{name: environment.get(name) for name in _DECISIVE},
        "packages": {name: packages.get(name) for name in _DECISIVE_PACKAGES},
        "memory": round((environment.get("memory_bytes") or 0) / _MEMORY_STEP_BYTES),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def usable_cores() -> int | None:
    """Processors that this process may use: of its affinity, and whole ones of its control group's quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    with contextlib.suppress(OSError, ValueError):  # no control group, or one without a quota
        quota, period = map(int, _CPU_QUOTA.read_text().split())
        cores = min(cores or 1, max(1, quota // period))
    return cores


def _driver() -> str | None:
    """Of the GPU, as its kernel module says it."""
    version = Path("/sys/module/nvidia/version")
    return version.read_text().strip() if version.is_file() else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _commit() -> dict[str, Any] | None:
    """Commit of the harness's own checkout and whether it had changes; None for an installed copy or without git."""
    if shutil.which("git") is None or not (_ROOT / ".git").exists():
        return None
    try:
        commit = _git(_ROOT, "rev-parse", "HEAD")
        return {"id": commit, "dirty": bool(_git(_ROOT, "status", "--porcelain", "--untracked-files=no"))}
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

"""The machine and software a figure was made on, as it goes into every record."""

from __future__ import annotations

import hashlib
import importlib.util
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
        "driver": _driver() if cuda else None,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "autocast": False,
    }


#: What of an environment can change how long a forward takes or what is counted of it.
_DECISIVE = (
    "python", "system", "processor", "cores", "openmp_wait_policy", "cpu_capability", "gpu", "cuda", "driver",
    "float32_matmul_precision", "deterministic_algorithms", "code",
)  # fmt: skip
_DECISIVE_PACKAGES = ("torch", "numpy", "fvcore", "mamba-ssm")
#: A virtual machine's memory is not quite the same after every start.
_MEMORY_STEP_BYTES = 1 << 30
_CODE = ("posemamba", "baselines")
_CODE_ENDINGS = (".py", ".cpp", ".hpp", ".so")


def key(environment: Mapping[str, Any]) -> str:
    """Digest of what in ``environment`` can change a figure; figures with different keys are not averaged.

    ``environment`` is what ``capture`` gives, with ``code`` (see ``code_digest``). Threads belong to what is measured,
    and the code of a third party's model to that model: two models on one machine share a key.
    """
    packages = environment.get("packages") or {}
    decisive = {
        **{name: environment.get(name) for name in _DECISIVE},
        "packages": {name: packages.get(name) for name in _DECISIVE_PACKAGES},
        "memory": round((environment.get("memory_bytes") or 0) / _MEMORY_STEP_BYTES),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def code_digest() -> str:
    """Of the lifters' source files and the built scan.

    Not the commit: a change of a text must not make every measurement a stranger.
    """
    digest = hashlib.sha256()
    for package in _CODE:
        for path in sorted((_ROOT / package).rglob("*")):
            if path.suffix in _CODE_ENDINGS:
                name = path.relative_to(_ROOT).as_posix()
                digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def module_digest(model: str) -> str | None:
    """Of the file that a third party's ``package.module:attribute`` is in; None for a registered model."""
    module, colon, _ = model.partition(":")
    found = importlib.util.find_spec(module) if colon else None
    if found is None or found.origin is None or not Path(found.origin).is_file():
        return None
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()[:16]


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

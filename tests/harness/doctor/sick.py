"""Checks that end in every way a check can; module functions, so that another process finds them."""

from __future__ import annotations

import importlib
import os
import time
from pathlib import Path

from harness.doctor.check import Absent, Broken


def well(results: Path) -> str:
    return f"version 1 in {results.name}"


def absent(results: Path) -> str:
    raise Absent("it is not installed", "pip install it")


def broken(results: Path) -> str:
    raise Broken("it adds 1 and 1 to 3")


def left_aside(results: Path) -> str:
    raise Broken("it does not load", "build it", left_aside=True)


def failing(results: Path) -> str:
    raise OSError("libit.so:\n  undefined symbol")


def crashing(results: Path) -> str:
    os.abort()


def hanging(results: Path) -> str:
    time.sleep(600)
    return "awake"


def importing_torch(results: Path) -> str:
    return importlib.import_module("torch").__name__

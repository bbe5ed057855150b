"""Runs the command as a user types it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness import cli


def harness(*words: str | Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """(exit code, what came out on stdout, and on stderr)."""
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err

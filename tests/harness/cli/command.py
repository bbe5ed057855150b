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


def require_refused(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bad input ends with 2: a message that names it, no traceback, and nothing on stdout."""
    code, out, err = harness(*words, capsys=capsys)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err

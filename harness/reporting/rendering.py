"""The page as one HTML file that needs nothing else: no network, no other file, and no script that is not its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from harness.printable import printable
from harness.reporting.page import Page

TEMPLATES = Path(__file__).parent / "templates"
_STYLE, _SCRIPTS = "report.css", ("ranking.js", "viewer.js")


def render(page: Page) -> str:
    """Deterministic: the same page gives the same text."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    scripts = [_read(name) for name in _SCRIPTS]
    return environment.get_template("report.html").render(
        page=page, css=_read(_STYLE), scripts=scripts, policy=_policy(scripts)
    )


def _shown(value: object) -> object:
    """What stands in the place of an expression: text without characters that steer whatever shows it."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _read(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _policy(scripts: Sequence[str]) -> str:
    """Content security policy: these very scripts run and nothing else does, whatever a name in the data says."""
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )

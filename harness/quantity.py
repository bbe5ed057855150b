"""How a quantity is printed: as many digits as are worth reading, and a dash for what is not known."""

from __future__ import annotations

from collections.abc import Sequence

MISSING = "–"
MINUS = "−"
NO_BREAK = "\u00a0"
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def prefixed(value: float | None) -> str:
    """Three digits with an SI prefix: ``1470211`` is ``1.47 M``."""
    if value is None:
        return MISSING
    # Rounding may reach the next prefix: 999,999 is 1.00 M, not 1000 k.
    scale, prefix = next(((scale, prefix) for scale, prefix in _PREFIXES if value >= 0.9995 * scale), (1.0, ""))
    scaled = value / scale
    digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
    return f"{scaled:.{digits if prefix else 0}f} {prefix}".rstrip()


def tick(value: float) -> str:
    """A round number as it stands at an axis, without closing zeros: ``2e6`` is ``2 M``, ``0.5`` is ``0.5``."""
    if value < 1:
        return f"{value:g}"
    number, _, prefix = prefixed(value).partition(" ")
    return f"{number.rstrip('0').rstrip('.') if '.' in number else number} {prefix}".rstrip()


def decimal(value: float | None, digits: int = 1) -> str:
    """``61.84`` is ``61.8``."""
    return MISSING if value is None else f"{value:.{digits}f}"


def signed(value: float, digits: int = 1) -> str:
    """With a real minus sign, and none before zero: ``-0.51`` is ``−0.5``, ``-0.01`` is ``0.0``."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", MINUS)


def change(value: float, digits: int = 1) -> str:
    """Like ``signed``, with a plus before a rise: ``0.51`` is ``+0.5``."""
    shown = signed(value, digits)
    return shown if shown.startswith(MINUS) or shown == signed(0, digits) else f"+{shown}"


def speed(per_s: float | None) -> str:
    """Frames a second: ``21400.3`` is ``21,400``, ``9.312`` is ``9.3``."""
    if per_s is None:
        return MISSING
    return f"{per_s:,.0f}" if per_s >= 99.5 else f"{per_s:.1f}"


def three_digits(value: float | None) -> str:
    """``0.36631`` is ``0.366``, ``1234.5`` is ``1,234``."""
    if value is None:
        return MISSING
    return f"{value:,.0f}" if value >= 999.5 else f"{value:#.3g}".rstrip(".")


def with_spread(mean: float | None, spread: float | None, digits: int = 1) -> str:
    """``61.8 ± 0.4``, or the mean alone where there is no spread."""
    return decimal(mean, digits) if spread is None else f"{decimal(mean, digits)} ± {decimal(spread, digits)}"


def probability(p: float) -> str:
    """``= 0.0004``; what is smaller than a ten-thousandth is ``< 0.0001``."""
    return f"={NO_BREAK}{p:.2g}" if p >= 1e-4 else f"<{NO_BREAK}0.0001"


def whole_numbers(values: Sequence[int]) -> str:
    """``0–2`` where ascending numbers follow each other, ``0, 3`` where they do not."""
    follow = len(values) > 2 and list(values) == list(range(values[0], values[-1] + 1))
    return f"{values[0]}–{values[-1]}" if follow else ", ".join(map(str, values))

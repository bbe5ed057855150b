"""Student's t distribution, as far as an interval needs it.

The probability is a finite sum for whole degrees of freedom (Abramowitz and Stegun, "Handbook of Mathematical
Functions", 1964, 26.7.3 and 26.7.4), so that no package of statistics is needed to read a store.
"""

from __future__ import annotations

import math


def within(t: float, freedom: int) -> float:
    """Probability that a variable with ``freedom`` degrees of freedom lies between -t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2 == 1
    term = cosine if odd else 1.0
    total = 0.0
    for power in range(1 if odd else 0, freedom - 1, 2):
        total += term
        term *= cosine**2 * (power + 1) / (power + 2)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total


def quantile(confidence: float, freedom: int) -> float:
    """The t within which a share ``confidence`` of the distribution lies, two-sided: 12.706 for 0.95 and 1."""
    if freedom < 1 or not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} with {freedom} degrees of freedom: there is no such interval")
    low, high = 0.0, 1.0
    while within(high, freedom) < confidence:
        high *= 2
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if within(middle, freedom) < confidence else (low, middle)
    return high

"""How numbers are written: one way each, in tables, pages, plots and sentences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from harness.report.inference import ALPHA


def p_text(p: float) -> str:
    """A p-value as "p = 0.03" or "p < 0.001": never 0, never rounded across 0.05."""
    number = p_number(p)
    return f"p {number}" if number.startswith("<") else f"p = {number}"


def p_number(p: float) -> str:
    """A p-value as "0.03" or "< 0.001", for a column of p-values: never 0, never rounded across 0.05."""
    if p < 0.001:
        return "< 0.001"
    text = f"{p:.2g}"
    return f"{p:.4g}" if (float(text) <= ALPHA) != (p <= ALPHA) else text


def number(value: float, digits: str = ".2f") -> str:
    """A number in the given format, with a typographic minus."""
    return format(value, digits).replace("-", "−")


def bracketed(low: float, high: float, write: Callable[[float], str] = number) -> str:
    """An interval, its ends written by `number` or `signed`."""
    return f"[{write(low)}, {write(high)}]"


def signed(value: float) -> str:
    """A difference in points, always with its sign."""
    return number(value, "+.2f")


EMPTY = "–"


def _number(value: Any) -> float | None:
    return None if value is None or value == "" or pd.isna(value) else float(value)


def _mean(value: Any) -> str:
    number = _number(value)
    return EMPTY if number is None else f"{number:.2f}"


def _spread(mean: Any, std: Any) -> str:
    return _mean(mean) if _number(std) is None or _number(mean) is None else f"{_mean(mean)} ± {_mean(std)}"


def quantity(value: Any) -> str:
    """Seconds or a count, with at least three digits; tables and the page write them alike."""
    number = _number(value)
    if number is None:
        return EMPTY
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"

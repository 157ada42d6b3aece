"""Texts and numbers as a page shows them."""

import math


def shortened(text: str, most: int) -> str:
    """A text of at most ``most`` marks: what differs may be at either end."""
    if len(text) <= most:
        return text
    end = most // 2 - 1
    return f"{text[: most - end - 1]}…{text[-end:]}"


def number(value: float | None) -> str:
    """A number with four digits, or an integer with all; a dash where there is none.

    The script of the page has the same rule.
    """
    if value is None or math.isnan(value):
        return "-"
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value + 0.0:,.0f}"  # no minus before a zero
    return f"{value:.3e}" if abs(value) < 1e-4 else f"{value:.4g}"


def percent(value: float | None) -> str:
    """A share with one decimal, by the same rule as the script of the page."""
    return "-" if value is None or math.isnan(value) else f"{100 * value:.1f}%"

"""Numbers as the report writes them."""

import math


def number(value: float) -> str:
    """Three significant digits, thousands separated from 100 on, without an exponent for usual sizes."""
    if not math.isfinite(value):
        return "not known"
    if value == 0:
        return "0"
    if abs(value) >= 99.95:
        return f"{value:,.0f}"
    return f"{value:#.3g}" if abs(value) >= 1e-4 else f"{value:.1e}"

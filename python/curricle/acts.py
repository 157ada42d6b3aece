"""Acts of steering, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe_act(act: Mapping[str, Any]) -> str:
    """What somebody did to a session, as `Curriculum.acts` tells it: "freeze", "ban jump"."""
    if act["act"] == "limit_share":
        return describe_limits(act["label"], act["least"], act["most"])
    words = {
        "freeze": ("thaw", "freeze"),
        "draw_uniformly": ("draw by the law", "draw uniformly"),
    }
    return words[act["act"]][bool(act["on"])]


def describe_limits(label: str, least: float, most: float) -> str:
    """The limits of a label's share of the draws: "ban jump", "share of jump at least 0.05"."""
    if most == 0.0:
        return f"ban {label}"
    limits = []
    if least > 0.0:
        limits.append(f"at least {least:.6g}")
    if most < 1.0:
        limits.append(f"at most {most:.6g}")
    return f"share of {label} {' and '.join(limits)}" if limits else f"no limits for {label}"

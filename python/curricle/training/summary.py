"""What a finished run leaves behind for people and scripts: ``summary.json``."""

import json
import platform
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from curricle import _core
from curricle.assembly_lines.config import IMPOSSIBLE_SUFFIX, NOISY_SUFFIX
from curricle.training.settings import TrainSettings
from curricle.training.trainer import Result


def summarise(settings: TrainSettings, result: Result) -> dict[str, Any]:
    """The summary of a run, as JSON-ready values.

    ``success`` is the share of solved episodes in rooms that training never drew;
    ``mean_reward`` is over all training episodes of the label.
    """
    progress = result.progress
    possible = {
        label: success
        for label, success in result.success.items()
        if not label.endswith((IMPOSSIBLE_SUFFIX, NOISY_SUFFIX))
    }
    # A small pool may have no task of a label.
    undrawn = dict.fromkeys(("scheduled", "completions", "env_steps", "score_sum", "lp_mean"), 0.0)
    labels = {}
    for label in sorted(result.totals.keys() | possible.keys()):
        total = result.totals.get(label, undrawn)
        labels[label] = {
            "samples": int(total["scheduled"]),
            "completions": int(total["completions"]),
            "env_steps": int(total["env_steps"]),
            "mean_reward": total["score_sum"] / max(1.0, total["completions"]),
            "success": result.success[label],
            "lp": total["lp_mean"],
        }
    return {
        "settings": settings.model_dump(mode="json"),
        "seed": settings.seed,
        "versions": {
            "curricle": _core.__version__,
            "gymnasium": gymnasium.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "episodes": progress.episodes,
        "env_steps": progress.env_steps,
        "seconds": round(progress.seconds, 3),
        "steps_per_second": round(progress.env_steps / max(progress.seconds, 1e-9), 1),
        "success": sum(possible.values()) / len(possible),
        "least_success": min(possible.values()),
        "labels": labels,
    }


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Writes the summary as JSON."""
    path.write_text(json.dumps(summary, indent=2) + "\n")

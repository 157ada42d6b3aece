"""Why a task has its probability."""

from __future__ import annotations

from math import inf, isclose
from typing import Any

from curricle._core import Session
from curricle.backends.base import TaskMemoryBackend
from curricle.backends.records import distribution
from curricle.errors import UnknownTaskError

# What limits do to a share is told from rounding: limits are kept in billionths.
_RELATIVE, _ABSOLUTE = 1e-9, 5e-10


def explain(backend: TaskMemoryBackend | Session, task_id: int) -> dict[str, Any]:
    """What `Curriculum.explain` says of a task; `UnknownTaskError` for one that is not there."""
    data = backend.read(task_id)
    ids, shares = backend.probabilities()
    if data is None:
        raise UnknownTaskError(f"unknown task {task_id}")
    rules = backend.rules.as_dict() | ({"law": "uniform"} if backend.uniform else {})
    floor = rules["floor"]
    probability = float(shares[ids == task_id].sum())
    limits = backend.share_limits().get(data.label or "", (0.0, 1.0))
    guard, factor = _guard(backend, data.label, limits)
    # What a guard takes to 0, the law has to be asked for.
    if factor > 0.0:
        by_law = probability / factor
    else:
        table = backend.snapshot()
        of_all = distribution(backend.rules, table, uniform=backend.uniform)
        by_law = float(of_all[table["task_id"] == task_id].sum())
    uniform_part = floor / len(ids)
    share = 1.0 / len(ids)
    if floor < 1.0:
        share = (by_law - uniform_part) / (1.0 - floor)
    averages = ("reward_ema", "success_rate_ema", "p_fast", "p_slow", "p_true")
    return {
        "task_id": task_id,
        "label": data.label,
        "mean_score": data.mean_score,
        "completion_count": data.completion_count,
        **{name: getattr(data, name) for name in averages},
        "evidence": data.evidence,
        "lp_score": data.lp_score,
        "columns": dict(zip(backend.columns, data.columns, strict=True)),
        "law": rules["law"],
        "weight": data.weight,
        "weight_from": _weight_from(data.completion_count, rules),
        "share": share,
        "floor": floor,
        "uniform_part": uniform_part,
        "guard": guard,
        "guard_factor": factor,
        "share_limits": limits,
        "probability": probability,
        "num_tasks": len(ids),
        "frozen": backend.frozen,
    }


def _guard(
    backend: TaskMemoryBackend | Session, label: str | None, limits: tuple[float, float]
) -> tuple[str, float]:
    """In words, which guard sets the probabilities of a label, and what it multiplies them by."""
    shares = backend.limited_shares()
    by_law, limited = shares.get(label, shares.get(None, (1.0, 1.0)))
    factor = limited / by_law if by_law > 0.0 else inf if limited > 0.0 else 1.0
    least, most = limits
    if most == 0.0:
        return "ban of its label", 0.0
    if all(isclose(*pair, rel_tol=_RELATIVE) for pair in shares.values()):
        return "none", 1.0
    at_least = least > 0.0 and isclose(limited, least, abs_tol=_ABSOLUTE)
    # Beyond its most it is where all labels are at theirs and share what is left.
    at_most = most < 1.0 and (limited > most or isclose(limited, most, abs_tol=_ABSOLUTE))
    if at_least and (factor >= 1.0 or not at_most):
        return "minimum share of its label", factor
    if at_most:
        return "maximum share of its label", factor
    if isclose(by_law, limited, rel_tol=_RELATIVE):
        return "none", 1.0
    return "shares of other labels", factor


def _weight_from(completions: int, rules: dict[str, Any]) -> str:
    """In words, what the weight of a task is."""
    if rules["law"] != "proportional":
        return f"the {rules['law']} law, which does not look at weights"
    if rules["progress"] == "given":
        return "set by the caller"
    if completions == 0:
        return "exploration: the task has no score yet"
    if completions < rules["min_samples"]:
        return f"exploration and progress: {completions} of {rules['min_samples']} scores"
    if rules["progress"] == "noise-aware":
        again = "column retry" if rules["retry_by_column"] else "0.002"
        return f"learning progress by evidence, and another try while it fails, by {again}"
    return "learning progress"

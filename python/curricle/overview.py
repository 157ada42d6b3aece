"""What a look at a session tells: of the whole, of one label, of one task."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from curricle import checks
from curricle._core import Session, list_sessions
from curricle.alignment import aligned
from curricle.errors import UnknownTaskError
from curricle.explanation import explain
from curricle.looking import did_you_mean
from curricle.session_facts import program_of

_LISTED = ("creator", "processes", "persist")


def describe_session(look: Session) -> dict[str, Any]:
    """The whole session.

    Returns:
        ``session`` (name, path, live, when and by whom it was made, capacity, seed, content, and
        columns), ``totals``, ``rules``, ``steering``, ``acts`` and ``labels`` (totals by label,
        and ``probability``, the share of the draws that the label gets now).
    """
    listed: dict[str, Any] = {}
    if look.name is not None:
        listed = next((one for one in list_sessions() if one["name"] == look.name), {})
    session = {
        "name": look.name,
        "path": listed.get("path", look.path),
        "live": look.live,
        "created": look.created_at,
        **{fact: listed.get(fact) for fact in _LISTED},
        "program": program_of(listed.get("creator"), look.created_at),
        "bytes": look.nbytes,
        "capacity": look.capacity,
        "seed": look.seed,
        "content": look.content,
        "columns": look.columns,
    }
    table, _, shares = read_tasks(look)
    # Numbers of labels, -1 for none; those that no task has may be beyond the last.
    sums = np.bincount(table["label"] + 1, weights=np.nan_to_num(shares))
    drawn = dict(zip([None, *look.labels()], sums.tolist(), strict=False))
    return {
        "session": session,
        "totals": look.totals(),
        "rules": look.rules.as_dict(),
        **describe_steering(look),
        "labels": {
            label: totals | {"probability": drawn.get(label, 0.0)}
            for label, totals in look.label_totals().items()
        },
    }


def describe_steering(look: Session) -> dict[str, Any]:
    """``steering`` (law, frozen, uniform, and limits of shares by label) and the last ``acts``."""
    limits = sorted(look.share_limits().items())
    return {
        "steering": {
            "law": "uniform" if look.uniform else look.rules.as_dict()["law"],
            "frozen": look.frozen,
            "uniform": look.uniform,
            "share_limits": {
                label: {"least": least, "most": most} for label, (least, most) in limits
            },
        },
        "acts": look.acts(),
    }


def describe_task(look: Session, task_id: int) -> dict[str, Any]:
    """``record``, all fields of one task, and ``why``: `Curriculum.explain` of it.

    Raises:
        UnknownTaskError: the session has no such task.
        ValueError: no 64-bit integer.
    """
    task_id = checks.integer(task_id, "the task id", checks.MIN_ID, checks.MAX_ID)
    data = look.read(task_id)
    if data is None:
        raise UnknownTaskError(
            f"there is no task {task_id} in the session; it may have been evicted"
        )
    record = data.as_dict()
    record["columns"] = dict(zip(look.columns, data.columns, strict=True))
    return {"record": record, "why": explain(look, task_id)}


def describe_label(look: Session, label: str, rows: int) -> dict[str, Any]:
    """One label: totals, limits, and its tasks with the most learning progress.

    Args:
        look: the session.
        label: one that it has, or has had.
        rows: number of tasks at most.

    Returns:
        ``label``, ``totals``, ``probability`` (the share of the draws that it gets now),
        ``limits`` and ``tasks``, each with the main fields of its record.

    Raises:
        ValueError: a label that the session does not have, with those that come close.
    """
    totals = look.label_totals()
    if label not in totals:
        hint = did_you_mean(label, totals) or "curricle show lists the labels"
        raise ValueError(f"the session has no label {label!r}; {hint}")
    table, labels, shares = read_tasks(look)
    mine = np.flatnonzero(labels == label)
    # Of tasks with the same learning progress, those of the least ids come first.
    order = mine[np.lexsort((table["task_id"][mine], -table["lp_score"][mine]))]
    fields = ("task_id", "completion_count", "scheduled_count", "reward_ema", "lp_score")
    least, most = look.share_limits().get(label, (0.0, 1.0))
    return {
        "label": label,
        "totals": totals[label],
        "probability": float(np.nansum(shares[mine])),
        "limits": {"least": least, "most": most},
        "tasks": [
            {name: table[name][at].item() for name in fields} | {"probability": float(shares[at])}
            for at in order[:rows]
        ],
    }


def read_tasks(look: Session) -> tuple[NDArray[Any], NDArray[np.object_], NDArray[np.float64]]:
    """All records, the text of their labels (``None`` for none), and their probabilities.

    Shape (n,) each, in the order of ids. Other processes go on meanwhile: a task that goes between
    the two reads that this takes has the probability NaN.
    """
    table = look.snapshot()
    ids, shares = look.probabilities()
    table = table[np.argsort(table["task_id"])]
    # One more, at -1, for those without a label.
    texts = np.array([*look.labels(), None], dtype=object)
    return table, texts[table["label"]], aligned(ids, shares, table["task_id"])

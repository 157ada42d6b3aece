"""The tasks of a session under kills, and how far each of them can be accounted for."""

from __future__ import annotations

import numpy as np

from curricle import Rules, Session

STABLE = range(36)
"""Tasks that stay; every count of each of them is known."""
MOVED = range(100, 108)
"""Tasks that stay and move from label to label."""
CHURNED = range(1000, 1064)
"""Tasks that come and go; a label of their own keeps the counts."""
UNLABELLED = range(2000, 2016)
"""Tasks without a label that come by an update and go."""
FOLDED = range(3000, 3008)
"""Tasks that come and go with so many labels that these are folded into "other"."""

AT_ONCE = 32
"""Draws, reports and creations of one call."""

FIXED_LABELS = [f"fixed-{i}" for i in range(4)]
CHURN_LABELS = [f"churn-{i}" for i in range(4)]
MOVE_LABELS = [f"move-{i}" for i in range(4)]
FOLD_LABELS = [f"fold-{i}" for i in range(150)]
# A stable task holds each label, so that only the labels of FOLDED are ever folded.
HELD_LABELS = [*FIXED_LABELS, *CHURN_LABELS, *MOVE_LABELS]

# One label for each of FOLDED and room for those of a whole batch of creations; beyond, labels
# without tasks are folded.
MAX_LABELS = len(HELD_LABELS) + len(FOLDED) + AT_ONCE
# Twice as many as there are tasks, since a batch of creations needs room for all of its tasks,
# also for those that others create meanwhile.
CAPACITY = 2 * sum(map(len, (STABLE, MOVED, CHURNED, UNLABELLED, FOLDED)))

STEPS = 1 << 20
"""An episode of score y has STEPS + y steps, which ties steps, scores and count together."""

# Scores are 0 or 1, and one step for all fast EMAs: then all of them are equal to the bit.
RULES = Rules(
    ema_alpha=0.1,
    ema_timescale=0.1,
    score_range=(0.0, 1.0),
    success_threshold=1.0,
    min_samples=1,
    floor=0.5,
)

CELLS = len(STABLE) + len(MOVED) + len(CHURN_LABELS) + 2
"""What is accounted for: a cell for each task that stays, one for each group of others."""
TASKS = slice(0, len(STABLE) + len(MOVED))
CHURN = slice(TASKS.stop, TASKS.stop + len(CHURN_LABELS))
FOLD = CHURN.stop
NO_LABEL = FOLD + 1


def _cells() -> np.ndarray:
    cells = np.full(FOLDED.stop, -1)
    cells[list(STABLE)] = np.arange(len(STABLE))
    cells[list(MOVED)] = len(STABLE) + np.arange(len(MOVED))
    cells[list(CHURNED)] = CHURN.start + np.arange(len(CHURNED)) % len(CHURN_LABELS)
    cells[list(FOLDED)] = FOLD
    cells[list(UNLABELLED)] = NO_LABEL
    return cells


CELL_OF = _cells()
"""The cell of a task id."""


def first_label(task_id: int) -> str | None:
    """The label of a task that stays or churns; of a moved one, its first."""
    if task_id in STABLE:
        return HELD_LABELS[task_id % len(HELD_LABELS)]
    if task_id in MOVED:
        return MOVE_LABELS[task_id % len(MOVE_LABELS)]
    if task_id in CHURNED:
        return CHURN_LABELS[task_id % len(CHURN_LABELS)]
    return None


def open_session(name: str) -> Session:
    """Makes the session, with the tasks that stay."""
    session = Session(
        CAPACITY,
        RULES,
        name=name,
        mode="create",
        max_labels=MAX_LABELS,
        max_inactive_labels=2,
        seed=1,
    )
    stay = [*STABLE, *MOVED]
    session.create_many(np.array(stay), [first_label(task_id) for task_id in stay])
    return session

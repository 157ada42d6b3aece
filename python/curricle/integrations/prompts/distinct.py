"""Draws without replacement at a cost that does not grow with the number of prompts."""

from __future__ import annotations

from collections.abc import Callable

from curricle._core import Ticket

# Rounds of dropping repetitions; where weights are anything like even, two do.
_ROUNDS = 8


def draw_distinct(
    draw: Callable[[int, bool], list[Ticket]], n: int, num_tasks: int
) -> list[Ticket]:
    """Draws ``n`` different tasks, one after the other without putting back.

    A draw that repeats one before it is dropped, which leaves the law as it is: each next task
    has a probability proportional to its own among the tasks not drawn yet. What was dropped
    stays counted as scheduled. Draws without replacement themselves, which sort all tasks, only
    finish where repetitions are many.

    Args:
        draw: makes so many draws, with replacement or without.
        n: number of tasks, >= 0.
        num_tasks: number of tasks that there are.

    Raises:
        EmptyTableError: there are no tasks, or all of them are banned.
        ValueError: ``n`` is more than the number of tasks that may be drawn.
    """
    drawn: dict[int, Ticket] = {}
    if 2 * n <= num_tasks:
        for _ in range(_ROUNDS):
            for ticket in draw(n - len(drawn), True):
                drawn.setdefault(ticket.task_id, ticket)
            if len(drawn) == n:
                return list(drawn.values())
    # Of n different ones, at most len(drawn) are there already, so that enough are left.
    for ticket in draw(n, False):
        if len(drawn) < n:
            drawn.setdefault(ticket.task_id, ticket)
    return list(drawn.values())

"""Scores, steps, weights and draws out of range: what they are refused with, and nothing changes.

Of a batch with one bad element none is written.
"""

import pytest

from curricle import UnknownTaskError
from refusals import (
    BEYOND,
    ID,
    INF,
    NAN,
    SHOWN,
    STEPS,
    cases,
    ids,
    scores,
    table,
    unchanged,
)

__all__ = ["table"]

RANGE = r"\[-1e9, 1e9\]"


@cases(
    ("nan", lambda t: t.backend.update_score(1, NAN), ValueError, f"score.*nan.*{RANGE}"),
    ("inf", lambda t: t.backend.update_score(1, -INF), ValueError, f"score.*-inf.*{RANGE}"),
    ("large", lambda t: t.backend.update_score(1, 1.1e9), ValueError, rf"score.*1\.?1.*{RANGE}"),
    ("huge", lambda t: t.backend.update_score(1, BEYOND), ValueError, f"{SHOWN}.*{RANGE}"),
    ("text", lambda t: t.backend.update_score(1, "0.5"), TypeError, "score is '0.5'.*one number"),
    ("none", lambda t: t.backend.update_score(1, None), TypeError, "score is None.*one number"),
    (
        "outside",
        lambda t: t.backend.update_score(1, 1.5),
        ValueError,
        r"1\.5.*score_range = \(0\.0, 1\.0\): declare a wider",
    ),
    ("new task", lambda t: t.backend.update_score(9, NAN), ValueError, "nan"),
    ("steps", lambda t: t.backend.update_score(1, 0.5, -1), ValueError, f"env_steps.*-1.*{STEPS}"),
    (
        "many steps",
        lambda t: t.backend.update_score(1, 0.5, 2**48 + 1),
        ValueError,
        f"env_steps.*281474976710657.*{STEPS}",
    ),
    ("no steps", lambda t: t.backend.update_score(1, 0.5, 1.5), TypeError, "env_steps is 1.5"),
    ("bool steps", lambda t: t.backend.update_score(1, 0.5, True), TypeError, "env_steps is True"),
    ("id", lambda t: t.backend.update_score(2**63, 0.5), ValueError, f"task_id.*{2**63}.*{ID}"),
    (
        "float id",
        lambda t: t.backend.update_score(1.0, 0.5),
        TypeError,
        r"task_id is 1\.0.*integer",
    ),
    ("bool id", lambda t: t.backend.update_score(True, 0.5), TypeError, "task_id is True"),
)
def test_one_score(table, case):
    table.refuses(case)


@cases(
    ("nan", lambda t: t.backend.update_scores(ids(1, 2), scores(0.5, NAN)), ValueError, "nan"),
    (
        "range",
        lambda t: t.backend.update_scores(ids(9, 1), scores(0.5, 1.5)),
        ValueError,
        r"1\.5.*score_range",
    ),
    (
        "lengths",
        lambda t: t.backend.update_scores(ids(1, 2, 3), scores(0.5, 0.5)),
        ValueError,
        "3 .*2",
    ),
    (
        "lengths of steps",
        lambda t: t.backend.update_scores(ids(1, 2), scores(0.5, 0.5), ids(1)),
        ValueError,
        "2 .*1",
    ),
    (
        "steps",
        lambda t: t.backend.update_scores(ids(1, 2), scores(0.5, 0.5), ids(1, -7)),
        ValueError,
        rf"env_steps\[1\].*-7.*{STEPS}",
    ),
    (
        "many steps",
        lambda t: t.backend.update_scores(ids(1, 2), scores(0.5, 0.5), ids(1, 2**48 + 1)),
        ValueError,
        rf"env_steps\[1\].*281474976710657.*{STEPS}",
    ),
    (
        "float ids",
        lambda t: t.tracker.update_batch([1.0, 2.0], [0.5, 0.5]),
        TypeError,
        "ids has dtype float64.*int64",
    ),
    (
        "shape",
        lambda t: t.tracker.update_batch([[1, 2]], [[0.5, 0.5]]),
        ValueError,
        r"ids has shape \(1, 2\).*vector",
    ),
    (
        "objects",
        lambda t: t.tracker.update_batch([1, 2], [0.5, None]),
        TypeError,
        r"scores\[1\] is None",
    ),
    (
        "bool",
        lambda t: t.tracker.update_batch([1, True], [0.5, 0.5]),
        TypeError,
        r"ids\[1\] is True",
    ),
)
def test_a_batch(table, case):
    table.refuses(case)


@cases(
    ("nan", lambda t: t.backend.report(t.tickets[0], NAN), ValueError, f"nan.*{RANGE}"),
    ("text", lambda t: t.backend.report(t.tickets[0], "a"), TypeError, "score is 'a'.*one number"),
    ("huge", lambda t: t.backend.report(t.tickets[0], BEYOND), ValueError, f"{SHOWN}.*{RANGE}"),
    ("outside", lambda t: t.backend.report(t.tickets[0], -0.5), ValueError, r"-0\.5.*score_range"),
    ("steps", lambda t: t.backend.report(t.tickets[0], 0.5, -1), ValueError, f"-1.*{STEPS}"),
    (
        "many steps",
        lambda t: t.backend.report(t.tickets[0], 0.5, 2**48 + 1),
        ValueError,
        f"281474976710657.*{STEPS}",
    ),
    ("an id", lambda t: t.backend.report(1, 0.5), TypeError, "Ticket"),
    ("none", lambda t: t.backend.report(None, 0.5), TypeError, "None.*Ticket"),
    (
        "one bad of two",
        lambda t: t.backend.report_many(t.tickets, scores(0.5, INF)),
        ValueError,
        "inf",
    ),
    (
        "steps of two",
        lambda t: t.backend.report_many(t.tickets, scores(0.5, 0.5), ids(0, -1)),
        ValueError,
        rf"env_steps\[1\].*-1.*{STEPS}",
    ),
    (
        "none of two",
        lambda t: t.backend.report_many([t.tickets[0], None], scores(0.5, 0.5)),
        TypeError,
        "None.*Ticket",
    ),
    (
        "twice",
        lambda t: t.backend.report_many([t.tickets[0]] * 2, scores(0.5, 0.5)),
        ValueError,
        "twice.*once",
    ),
    (
        "lengths",
        lambda t: t.backend.report_many(t.tickets, scores(0.5)),
        ValueError,
        "2 .*1",
    ),
    (
        "ids among tickets",
        lambda t: t.tracker.report([t.tickets[0], 1], [0.5, 0.5]),
        TypeError,
        r"tickets\[1\] is 1",
    ),
)
def test_reports(table, case):
    table.refuses(case)


def test_a_ticket_counts_once(table):
    spent = table.backend.draw()
    table.backend.report(spent, 0.5)
    said = f"task {spent.task_id} .*reported before"
    with unchanged(table.tracker, table.name):
        with pytest.raises(ValueError, match=said):
            table.backend.report(spent, 0.5)
        with pytest.raises(ValueError, match=said):
            table.backend.report_many([table.tickets[0], spent], scores(0.5, 0.5))


@cases(
    ("nan", lambda t: t.backend.set_lp(1, NAN), ValueError, "lp_score.*nan"),
    ("large", lambda t: t.backend.set_lp(1, -1e7), ValueError, "-1e?0.*(1e6|1000000)"),
    ("above", lambda t: t.backend.set_lp(1, 5000.0), ValueError, "5000.*4096.*scale"),
    ("unknown", lambda t: t.backend.set_lp(77, 0.1), UnknownTaskError, "unknown task 77"),
    ("ema", lambda t: t.backend.set_emas(1, 0.1, NAN, 0.1, 0.1), ValueError, "p_slow.*nan"),
    (
        "large ema",
        lambda t: t.backend.set_emas(1, 0.1, 0.1, 1e300, 0.1),
        ValueError,
        r"p_true.*1e\+?300.*(1e9|1000000000)",
    ),
    (
        "unknown emas",
        lambda t: t.backend.set_emas(77, 0.1, 0.1, 0.1, 0.1),
        UnknownTaskError,
        "unknown task 77",
    ),
    (
        "threshold",
        lambda t: t.backend.set_success_threshold(1, INF),
        ValueError,
        "success_threshold.*inf.*finite",
    ),
    (
        "unknown threshold",
        lambda t: t.backend.set_success_threshold(77, 0.5),
        UnknownTaskError,
        "unknown task 77",
    ),
    (
        "weight",
        lambda t: t.backend.set_weights(ids(1, 2), scores(1.0, 4096.0)),
        ValueError,
        r"weight.*4096.*scale",
    ),
    (
        "negative weight",
        lambda t: t.backend.set_weights(ids(1, 2), scores(1.0, -1.0)),
        ValueError,
        "weight.*-1.*4096",
    ),
    (
        "lengths",
        lambda t: t.tracker.set_weights([1, 2], [1.0]),
        ValueError,
        "2 .*1",
    ),
)
def test_what_algorithms_write(table, case):
    table.refuses(case)


@cases(
    ("negative", lambda t: t.backend.draw_many(-1), ValueError, "n .*-1.*0, "),
    ("float", lambda t: t.backend.draw_many(1.5), TypeError, r"n is 1\.5.*integer"),
    (
        "distinct",
        lambda t: t.backend.draw_many(99, replace=False),
        ValueError,
        "99 .*(only|from) 4 .*",
    ),
    (
        "percentile",
        lambda t: t.backend.choose_eviction(1, 1.5),
        ValueError,
        r"1\.5.*1\]",
    ),
    ("nan percentile", lambda t: t.backend.choose_eviction(1, NAN), ValueError, "percentile.*nan"),
    ("presentations", lambda t: t.backend.choose_eviction(-1), ValueError, "-1"),
    (
        "zeros",
        lambda t: setattr(t.backend, "stream_state", (0, 0, 0, 0)),
        ValueError,
        "four zeros",
    ),
    ("three words", lambda t: setattr(t.backend, "stream_state", (1, 2, 3)), ValueError, "4.*3"),
    ("unknown", lambda t: t.tracker.stats_batch([1, 77]), UnknownTaskError, "unknown task 77"),
)
def test_draws_and_views(table, case):
    table.refuses(case)

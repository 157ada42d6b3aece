"""Ids, labels, records and full tables: what they are refused with, and nothing changes."""

import numpy as np
import pytest

from curricle import CapacityError, UnknownTaskError
from curricle._core import Rules, Session, TaskData
from refusals import (
    BEYOND,
    ID,
    INF,
    LABEL,
    NAN,
    RULES,
    SEED,
    STEPS,
    Table,
    cases,
    ids,
    new_name,
    refuse,
    table,
    unchanged,
)


@pytest.fixture(params=["local", "shared"])
def core_table(request):
    made = Table(request.param)
    yield made
    made.close()


LONG, LONE = "x" * 121, "bad \ud800"


@cases(
    ("id", lambda t: t.backend.create(2**63), ValueError, f"task_id.*{2**63}.*{ID}"),
    ("float id", lambda t: t.backend.create(1.5), TypeError, r"task_id is 1\.5.*integer"),
    ("bool id", lambda t: t.backend.create(True), TypeError, "task_id is True.*integer"),
    ("text id", lambda t: t.backend.create("a"), TypeError, "task_id is 'a'.*integer"),
    ("seed", lambda t: t.backend.create(9, seed=-1), ValueError, f"seed.*-1.*{SEED}"),
    ("large seed", lambda t: t.backend.create(9, seed=2**64), ValueError, f"{2**64}.*{SEED}"),
    (
        "threshold",
        lambda t: t.backend.create(9, success_threshold=NAN),
        ValueError,
        "success_threshold.*nan.*finite",
    ),
    (
        "type",
        lambda t: t.backend.create(9, generator_type=INF),
        ValueError,
        "generator_type.*inf.*finite",
    ),
    ("removed id", lambda t: t.backend.remove(2**63), ValueError, f"task_id.*{2**63}.*{ID}"),
    ("removed text", lambda t: t.backend.remove("a"), TypeError, "task_id is 'a'"),
    ("replacing id", lambda t: t.backend.replace(1, 2**63), ValueError, f"{2**63}.*{ID}"),
    (
        "float ids",
        lambda t: t.tracker.track_many([9.0, 10.0]),
        TypeError,
        "task_ids has dtype float64.*int64",
    ),
    (
        "id in the middle",
        lambda t: t.tracker.track_many(np.array([9, 2**63], np.uint64)),
        ValueError,
        f"{2**63}.*{ID}",
    ),
)
def test_ids(table, case):
    table.refuses(case)


@cases(
    ("empty", lambda t: t.backend.create(9, label=""), ValueError, f"label.*0 bytes.*{LABEL}"),
    ("long", lambda t: t.backend.create(9, label=LONG), ValueError, f"label.*121 bytes.*{LABEL}"),
    ("two bytes", lambda t: t.backend.create(9, label="é" * 61), ValueError, f"122.*{LABEL}"),
    ("lone surrogate", lambda t: t.backend.create(9, label=LONE), ValueError, f"ud800.*{LABEL}"),
    ("number", lambda t: t.backend.create(9, label=7), TypeError, "label is 7.*string"),
    (
        "one of two",
        lambda t: t.backend.create_many(ids(8, 9), ["a", LONG]),
        ValueError,
        f"121 bytes.*{LABEL}",
    ),
    (
        "surrogate of two",
        lambda t: t.backend.create_many(ids(8, 9), ["a", LONE]),
        ValueError,
        f"ud800.*{LABEL}",
    ),
    (
        "number of two",
        lambda t: t.backend.create_many(ids(8, 9), ["a", 7]),
        TypeError,
        "label is 7",
    ),
    (
        "lengths",
        lambda t: t.backend.create_many(ids(8, 9), ["a"]),
        ValueError,
        "(?=.*2)(?=.*1).*label",
    ),
    ("replace", lambda t: t.backend.replace(1, 9, label=LONG), ValueError, f"121.*{LABEL}"),
    ("set", lambda t: t.backend.set_label(1, ""), ValueError, f"0 bytes.*{LABEL}"),
    ("set surrogate", lambda t: t.backend.set_label(1, LONE), ValueError, f"ud800.*{LABEL}"),
    ("set unknown", lambda t: t.backend.set_label(77, "a"), UnknownTaskError, "unknown task 77"),
)
def test_labels(table, case):
    table.refuses(case)


def test_the_longest_label_and_zeros_are_labels(table):
    for label in ("x" * 120, "é" * 60, "a\0b", "\N{PILE OF POO}" * 30):
        table.backend.set_label(1, label)
        assert table.backend.read(1).label == label


@cases(
    ("one", lambda t: t.backend.create(9), CapacityError, "full.*5.*(evict|remove)"),
    ("two", lambda t: t.backend.create_many(ids(8, 9)), CapacityError, "full.*5.*(evict|remove)"),
    ("score", lambda t: t.backend.update_score(9, 0.5), CapacityError, "full.*5"),
    (
        "score with a threshold",
        lambda t: t.tracker.update_task_performance(9, 0.5, success_threshold=0.9),
        CapacityError,
        "full.*5",
    ),
)
def test_a_full_table(table, case):
    table.backend.create(5)
    table.refuses(case)


def test_tasks_that_do_not_all_fit(table):
    with (
        unchanged(table.tracker, table.name),
        pytest.raises(CapacityError, match=r"5.*(evict|remove)"),
    ):
        table.backend.create_many(ids(8, 9))


@cases(
    (
        "another task",
        lambda t: t.backend.write_task(2, TaskData(1)),
        ValueError,
        r"task 1, not of task 2: use data\.replace",
    ),
    (
        "completions",
        lambda t: t.backend.write_task(1, TaskData(1, completion_count=2**64 - 1)),
        ValueError,
        f"completion_count {2**64 - 1}.*{STEPS}",
    ),
    (
        "draws",
        lambda t: t.backend.write_task(1, TaskData(1, scheduled_count=2**48 + 1)),
        ValueError,
        f"scheduled_count {2**48 + 1}.*{STEPS}",
    ),
    (
        "steps of a new task",
        lambda t: t.backend.write_task(9, TaskData(9, env_steps=2**63)),
        ValueError,
        f"env_steps {2**63}.*{STEPS}",
    ),
    (
        "tick",
        lambda t: t.backend.write_task(1, TaskData(1, last_completed=2**64 - 1)),
        ValueError,
        "last_completed",
    ),
    (
        "score sum",
        lambda t: t.backend.write_task(1, TaskData(1, total_score=1e300)),
        ValueError,
        r"total_score 1e300.*2\.8.*e23",
    ),
    (
        "ema",
        lambda t: t.backend.write_task(1, TaskData(1, p_fast=NAN)),
        ValueError,
        "p_fast nan.*1000000000",
    ),
    (
        "negative square",
        lambda t: t.backend.write_task(1, TaskData(1, ema_squared=-1.0)),
        ValueError,
        r"ema_squared -1\.0.*\[0\.0",
    ),
    (
        "share",
        lambda t: t.backend.write_task(1, TaskData(1, success_rate_ema=1.5)),
        ValueError,
        r"success_rate_ema 1\.5.*1\.0\]",
    ),
    (
        "progress",
        lambda t: t.backend.write_task(1, TaskData(1, completion_count=3, lp_score=5e3)),
        ValueError,
        "5000.*4096",
    ),
    (
        "label",
        lambda t: t.backend.write_task(1, TaskData(1, label=LONE)),
        ValueError,
        f"ud800.*{LABEL}",
    ),
    (
        "columns",
        lambda t: t.backend.write_task(1, TaskData(1, columns=(1.0,))),
        ValueError,
        "1 columns.*0",
    ),
    ("nothing", lambda t: t.backend.write_task(1, None), TypeError, "None.*TaskData"),
)
def test_whole_records(core_table, case):
    core_table.refuses(case)


@cases(
    ("column", lambda s: s.set_column(1, "size", 1.0), ValueError, "size.*age"),
    ("nan", lambda s: s.set_column(1, "age", NAN), ValueError, "age.*nan.*finite"),
    ("unknown", lambda s: s.set_column(77, "age", 1.0), UnknownTaskError, "unknown task 77"),
    ("field", lambda s: s.field(1, "size"), ValueError, "size.*age"),
    (
        "written nan",
        lambda s: s.write(1, TaskData(1, columns=(INF,))),
        ValueError,
        r"columns\[0\] inf.*finite",
    ),
    ("two", lambda s: s.write(1, TaskData(1, columns=(1.0, 2.0))), ValueError, "2 columns.*1.*age"),
    ("nine", lambda s: s.write(1, TaskData(1, columns=range(9))), ValueError, "at most 8.*9"),
)
def test_columns(case):
    session = Session(4, RULES, columns=["age"])
    session.create(1)
    session.set_column(1, "age", 2.0)
    before = session.snapshot().tobytes(), repr(session.totals())
    refuse(case, session)
    assert (session.snapshot().tobytes(), repr(session.totals())) == before


@pytest.mark.parametrize("progress", ["given", "bidirectional"])
def test_a_baseline_that_nothing_can_be_divided_by(progress):
    for kind in ("local", "dict"):
        rules = Rules(score_range=(0.0, 1.0), baseline="mean", progress=progress)
        table = Table(kind, rules)
        with (
            unchanged(table.tracker, table.name),
            pytest.raises(ValueError, match=r"random_baseline.*1\.0.*\[0, 1\)"),
        ):
            table.backend.set_emas(1, 0.5, 0.5, 0.5, 1.0)
        table.close()


@cases(
    (
        "count",
        lambda: RULES.advance(TaskData(1, completion_count=2**64 - 1), 0.5),
        ValueError,
        f"completion_count {2**64 - 1}.*{STEPS}",
    ),
    ("nan", lambda: RULES.advance(TaskData(1, p_slow=NAN), 0.5), ValueError, "p_slow nan"),
    ("score", lambda: RULES.advance(TaskData(1), NAN), ValueError, "score nan.*1e9"),
    ("outside", lambda: RULES.advance(TaskData(1), 2.0), ValueError, r"2\.0.*score_range"),
    ("steps", lambda: RULES.advance(TaskData(1), 0.5, 2**60), ValueError, f"{2**60}.*{STEPS}"),
    ("span", lambda: Rules().advance(TaskData(1), 0.5, span=-1.0), ValueError, r"span = -1\.0"),
    ("id", lambda: TaskData(2**63), ValueError, f"task_id {2**63}.*{ID}"),
    ("bool", lambda: TaskData(True), TypeError, "task_id is True"),
    ("seed", lambda: TaskData(1, seed=2**64), ValueError, f"{2**64}.*{SEED}"),
    ("field", lambda: TaskData(1).replace(p_quick=1.0), TypeError, "p_quick.*p_fast, p_slow"),
    ("replaced id", lambda: TaskData(1).replace(task_id=0.5), TypeError, r"task_id is 0\.5"),
    ("huge", lambda: RULES.advance(TaskData(1), BEYOND), ValueError, "1000000.*1e9"),
)
def test_records_and_rules(case):
    refuse(case)


def test_labels_beyond_the_table_change_nothing():
    name = new_name()
    session = Session(4, RULES, max_labels=2, max_inactive_labels=0, name=name)
    session.create_many(ids(1, 2), ["a", "b"])
    before = session.snapshot().tobytes(), session.label_totals(), session.labels()
    for change in (
        lambda: session.create(3, label="c"),
        lambda: session.create_many(ids(3, 4), ["a", "c"]),
        lambda: session.set_label(1, "c"),
        lambda: session.write(1, TaskData(1, label="c")),
    ):
        with pytest.raises(CapacityError, match=r"full: 2 labels.*max_labels"):
            change()
        assert (session.snapshot().tobytes(), session.label_totals(), session.labels()) == before
    session.verify()
    session.close()


__all__ = ["table"]

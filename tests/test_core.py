"""The compiled core, as the package uses it."""

from __future__ import annotations

import copy
import os
import pickle
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from curricle import Curriculum, CurriculumEnv
from curricle._core import Rules, Session, Stream, list_sessions
from curricle.errors import SessionError, UnknownTaskError
from small_envs import TaskCorridor


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session(100, Rules(score_range=(0.0, 1.0), exploration=1.0))
    session.create_many(np.arange(50), [f"label {i % 3}" for i in range(50)])
    yield session
    session.close()


def refuse_changes(session: Session, words: tuple[int, ...]) -> None:
    assert session.totals()["completions"] == 0
    assert session.stream_state == words


class TestReportMany:
    def test_is_as_many_reports(self, session: Session) -> None:
        tickets = session.draw_many(40)
        session.remove(tickets[7].task_id, evict=True)
        gone = [ticket.task_id == tickets[7].task_id for ticket in tickets]
        progress = session.report_many(tickets, np.linspace(0.0, 1.0, 40), np.arange(40))
        assert progress.shape == (40,)
        assert progress.dtype == np.float64
        assert np.isnan(progress).tolist() == gone
        for ticket in tickets:
            with pytest.raises(ValueError, match="reported before"):
                session.report(ticket, 0.5)
        totals = session.totals()
        assert totals["completions"] == 40 - sum(gone)
        assert totals["late_reports"] == sum(gone)
        assert totals["env_steps"] == sum(np.arange(40)[~np.array(gone)])
        session.verify()

    def test_nothing(self, session: Session) -> None:
        assert session.report_many([], np.zeros(0)).shape == (0,)

    def test_one_bad_element_keeps_the_batch_out(self, session: Session) -> None:
        tickets = session.draw_many(3)
        state = session.stream_state
        scores = np.full(3, 0.5)
        other = Session(1000)
        other.create_many(np.arange(1000))
        foreign = next(t for t in other.draw_many(1000) if t.slot >= 100)
        for bad, values, steps, words in [
            ([tickets[0], tickets[1], tickets[0]], scores, None, "twice"),
            (tickets, np.array([0.5, np.nan, 0.5]), None, "NaN"),
            (tickets, np.array([0.5, 1.5, 0.5]), None, "score_range"),
            (tickets, scores[:2], None, "3 elements and scores has 2"),
            (tickets, scores, np.zeros(2, np.int64), "env_steps has 2"),
            (tickets, scores, np.array([1, -1, 1]), "env_steps.1. = -1"),
            ([*tickets[:2], foreign], scores, None, "another session"),
        ]:
            with pytest.raises(ValueError, match=words):
                session.report_many(bad, values, steps)
            refuse_changes(session, state)
        session.report(tickets[1], 0.5)
        with pytest.raises(ValueError, match="reported before"):
            session.report_many(tickets, scores)
        # What was refused can still be reported.
        session.report_many([tickets[0], tickets[2]], scores[:2])
        assert session.totals()["completions"] == 3

    def test_copies_are_one_ticket(self, session: Session) -> None:
        ticket = session.draw()
        other = pickle.loads(pickle.dumps(ticket))
        assert (other, hash(other)) == (ticket, hash(ticket))
        session.report(other, 0.5)
        with pytest.raises(ValueError, match="reported before"):
            session.report(ticket, 0.5)
        assert session.totals()["completions"] == 1


class TestReportAndDraw:
    def test_is_a_report_and_a_draw(self, session: Session) -> None:
        tickets = session.draw_many(5)
        stream, same = session.stream(7), session.stream(7)
        progress, drawn, evict = session.report_and_draw(
            tickets, np.full(5, 0.5), np.arange(5), 3, stream=stream
        )
        assert progress.shape == (5,)
        assert evict is None
        assert len(drawn) == 3
        assert [t.task_id for t in drawn] == [t.task_id for t in session.draw_many(3, stream=same)]
        assert session.totals()["env_steps"] == 10

    def test_names_the_task_to_evict_and_draws_nothing(self, session: Session) -> None:
        tickets = session.draw_many(3)
        _, drawn, evict = session.report_and_draw(
            tickets, np.full(3, 0.5), None, 3, eviction=(1, 1.0)
        )
        assert drawn == []
        assert evict == session.choose_eviction(1, 1.0)
        assert session.totals()["scheduled"] == 3

    def test_a_bad_batch_draws_nothing(self, session: Session) -> None:
        tickets = session.draw_many(2)
        state = session.stream_state
        with pytest.raises(ValueError, match="percentile = 2"):
            session.report_and_draw(tickets, np.full(2, 0.5), None, 1, eviction=(1, 2.0))
        with pytest.raises(ValueError, match="NaN"):
            session.report_and_draw(tickets, np.array([0.5, np.nan]), None, 1)
        refuse_changes(session, state)
        assert session.totals()["scheduled"] == 2

    def test_tracker_and_curriculum_use_it(self) -> None:
        with closing(Curriculum(5)) as curriculum:
            tickets = [curriculum.draw().ticket for _ in range(8)]
            assert curriculum.report(tickets, [0.5] * 8, [3] * 8).shape == (8,)
            assert curriculum.tracker.totals()["env_steps"] == 24
            with pytest.raises(ValueError, match="reported before"):
                curriculum.report(tickets[:1], [0.5])


class TestUpdateMany:
    def test_elements_keep_their_order_per_task(self) -> None:
        ids = np.random.default_rng(0).integers(-20, 20, 5000)
        scores = np.random.default_rng(1).random(5000)
        batch, single = Session(40), Session(40)
        assert batch.update_many(ids, scores).shape == (5000,)
        for task_id, score in zip(ids.tolist(), scores.tolist(), strict=True):
            single.update(task_id, score)
        for task_id in range(-20, 20):
            one, other = batch.read(task_id), single.read(task_id)
            assert one is not None
            assert other is not None
            assert one.completion_count == other.completion_count
            assert one.last_score == other.last_score
            assert one.p_fast == other.p_fast
        batch.verify()

    def test_a_full_table_keeps_unknown_tasks_out(self) -> None:
        session = Session(3)
        progress = session.update_many(np.array([1, 2, 3, 4, 1, 4]), np.full(6, 0.5))
        assert np.isnan(progress).tolist() == [False, False, False, True, False, True]


class TestLabelChanges:
    def test_rows_are_the_totals(self, session: Session) -> None:
        versions, rows = session.label_changes()
        assert {row[1] for row in rows} == {"label 0", "label 1", "label 2"}
        assert session.label_changes(versions)[1] == []
        ticket = session.draw()
        session.report(ticket, 0.25)
        versions, rows = session.label_changes(versions)
        (row,) = rows
        label = session.label(ticket.task_id)
        totals = session.label_totals()[str(label)]
        assert row[1:] == (
            label,
            totals["lp_mean"],
            totals["completions"],
            totals["scheduled"],
            0.25,
            totals["evicted"],
        )
        session.clear()
        assert {row[1] for row in session.label_changes(versions)[1]} == {None}

    def test_versions_have_to_be_such(self, session: Session) -> None:
        with pytest.raises(TypeError, match="uint64"):
            session.label_changes(np.zeros(3))  # type: ignore[arg-type]


class TestDistinctDraws:
    # Few of many; nearly all of them; hardly ever anything but the first, so that the exact pass
    # has to finish.
    @pytest.mark.parametrize("weights", [[1, 2, 3, 4, 5, 6], [1, 2, 3], [4000, 0.01, 0.02, 0.03]])
    def test_follow_their_law(self, weights: list[float]) -> None:
        p = np.array(weights) / np.sum(weights)
        ids = np.arange(len(p))
        rounds = 20_000
        with closing(Session(len(p), Rules(floor=0.0))) as session:
            session.create_many(ids)
            session.set_weights(ids, np.array(weights, np.float64))
            drawn = [
                [ticket.task_id for ticket in session.draw_many(2, replace=False)]
                for _ in range(rounds)
            ]
            # What is proposed twice is counted once.
            assert session.totals()["scheduled"] == 2 * rounds
        counted = np.zeros((len(p), len(p)))
        np.add.at(counted, tuple(np.array(drawn).T), 1)
        expected = rounds * np.outer(p / (1.0 - p), p)
        np.fill_diagonal(expected, 0.0)
        assert counted[expected == 0.0].sum() == 0
        seen = expected > 5.0
        deviations = (counted - expected)[seen] / np.sqrt(expected[seen])
        assert np.abs(deviations).max() < 4.5

    def test_more_than_there_are_count_nothing(self) -> None:
        with closing(Session(3)) as session:
            session.create_many(np.arange(3))
            for n in (4, 2**62):
                with pytest.raises(ValueError, match="only 3 can be drawn"):
                    session.draw_many(n, replace=False)
            assert session.totals()["scheduled"] == 0


class TestStream:
    def test_pickles_with_its_state(self) -> None:
        stream = Stream(3, 4)
        stream.random()
        for twin in (pickle.loads(pickle.dumps(stream)), copy.deepcopy(stream)):
            assert twin.state == stream.state
        assert [twin.random() for _ in range(5)] == [stream.random() for _ in range(5)]

    def test_an_environment_pickles_after_a_seeded_reset(self) -> None:
        tasks = {f"label {n}": {"length": n + 1} for n in range(6)}
        name = f"test-core-{uuid.uuid4().hex[:12]}"
        with closing(Curriculum(tasks, session=name)) as curriculum:
            env = CurriculumEnv(TaskCorridor(), curriculum)
            env.reset(seed=5)
            twin = pickle.loads(pickle.dumps(env))
            played = [env.reset()[1]["curriculum/task_id"] for _ in range(20)]
            # Weights did not change meanwhile: the same stream draws the same tasks.
            assert [twin.reset()[1]["curriculum/task_id"] for _ in range(20)] == played
            twin.curriculum.close()

    def test_a_read_only_handle_has_none(self) -> None:
        name = f"test-core-{uuid.uuid4().hex[:12]}"
        with closing(Session(10, name=name)) as session:
            session.create(1)
            with closing(Session(name=name, mode="read-only")) as reader:
                with pytest.raises(SessionError, match="read-only"):
                    reader.stream()
                with pytest.raises(SessionError, match="read-only"):
                    _ = reader.stream_state
                with pytest.raises(SessionError, match="read-only"):
                    reader.stream_state = (1, 2, 3, 4)
                assert reader.stream(seed=3).state == session.stream(seed=3).state

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_a_fork_while_another_thread_draws(self) -> None:
        session = Session(2000)
        session.create_many(np.arange(2000))
        stop = threading.Event()

        def draw() -> None:
            while not stop.is_set():
                session.draw_many(2000)

        drawing = threading.Thread(target=draw)
        drawing.start()
        try:
            for _ in range(20):
                child = os.fork()
                if child == 0:
                    session.draw()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
        finally:
            stop.set()
            drawing.join()


def test_a_success_threshold_alone(session: Session) -> None:
    session.update(1, 0.4)
    before = session.read(1)
    assert before is not None
    assert before.success_rate_ema == 0.0
    session.set_success_threshold(1, 0.25)
    assert session.read(1) == before.replace(success_threshold=0.25)
    session.update(1, 0.4)
    assert session.field(1, "success_rate_ema") > 0.0
    with pytest.raises(UnknownTaskError):
        session.set_success_threshold(77, 0.5)
    with pytest.raises(ValueError, match="success_threshold NaN"):
        session.set_success_threshold(1, float("nan"))


@pytest.mark.parametrize("name", ["exploration", "progress_floor", "performance_bonus"])
def test_weights_have_a_limit(name: str) -> None:
    Rules(**{name: 60.0})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=f"{name} = 4096.0 .* below 4096"):
        Rules(**{name: 4096.0})  # type: ignore[arg-type]


def test_sessions_are_listed_with_their_facts() -> None:
    name = f"test-core-{uuid.uuid4().hex[:12]}"
    with closing(Session(10, name=name)) as session:
        (found,) = [facts for facts in list_sessions() if facts["name"] == name]
        assert set(found) == {
            *("name", "path", "live", "persist", "bytes", "created", "creator", "processes"),
            *("modified", "owner"),
        }
        assert found["live"] is True
        assert found["persist"] is False
        assert found["bytes"] == session.nbytes
        assert found["owner"] == os.getuid()


def test_probabilities_come_in_order_of_slots(session: Session) -> None:
    session.update_many(np.arange(50), np.linspace(0.0, 1.0, 50))
    session.remove(3)
    session.create(99)
    ids, shares = session.probabilities()
    assert ids.tolist() == session.task_ids().tolist()
    weights = session.snapshot()["weight"]
    assert np.allclose(shares, weights / weights.sum(), rtol=1e-12)

"""Steering a session: frozen progress, uniform draws, and the record of who did what."""

import multiprocessing
import os
import secrets
import time

import numpy as np
import pytest

from curricle import (
    Curriculum,
    LearningProgressConfig,
    NoiseAwareConfig,
    SingleTaskGenerator,
    list_sessions,
    remove_session,
)
from curricle._core import Session
from curricle.backends import LocalMemoryBackend
from curricle.errors import SessionError
from curricle.looking import look_into
from score_histories import shares
from session_workers import LIMIT, Worker, close_session, files_of, open_session
from test_backends import DictBackend
from test_guards import FIFTHS, LAWS, TASKS

RISING = [0.0, 0.0, 1.0, 1.0]


@pytest.fixture(params=["core", "dict", *sorted(LAWS)])
def curriculum(request):
    if request.param in LAWS:
        curriculum = Curriculum(TASKS, LAWS[request.param])
    else:
        backend = {"core": LocalMemoryBackend, "dict": DictBackend}[request.param](8)
        curriculum = Curriculum(TASKS, FIFTHS, backend=backend)
        curriculum.algorithm.refresh()
    for task_id, score in [(0, 0.0), (0, 1.0), (1, 0.5), (2, 0.0), (3, 0.2)]:
        curriculum.report([task_id], [score])
    # Weights that are computed for all tasks at once follow at the next draw.
    curriculum.draw()
    return curriculum


def test_a_frozen_curriculum_draws_as_before_and_counts_scores(curriculum):
    before = shares(curriculum)
    completions = curriculum.tracker.totals()["completions"]
    curriculum.freeze()
    for score in RISING * 5:
        curriculum.report(curriculum.draw().ticket, score)
        curriculum.report([4], [score])
    if hasattr(curriculum.algorithm, "refresh"):
        curriculum.algorithm.refresh()
    np.testing.assert_allclose(shares(curriculum), before, rtol=1e-12)
    assert curriculum.tracker.totals()["completions"] == completions + 40
    assert curriculum.explain(4)["frozen"] is True
    assert curriculum.explain(4)["completion_count"] >= 20
    assert curriculum.tracker.choose_eviction(1) is None
    curriculum.freeze(False)
    assert curriculum.explain(4)["frozen"] is False
    assert curriculum.tracker.choose_eviction(1) is not None


def test_progress_goes_on_after_a_freeze_as_if_there_had_been_none():
    arms = [Curriculum(4, LearningProgressConfig(use_shared_memory=False)) for _ in range(2)]
    for frozen, curriculum in enumerate(arms):
        for score in (0.0, 0.1, 0.3):
            curriculum.report([1], [score])
        curriculum.freeze(bool(frozen))
        for score in (0.5, 0.9, 1.0):
            curriculum.report([1], [score])
        if frozen:
            assert not np.array_equal(*map(shares, arms))
        curriculum.freeze(False)
        curriculum.report([1], [1.0])
    np.testing.assert_array_equal(*map(shares, arms))


def test_uniform_draws_keep_limits_and_end(curriculum):
    before = shares(curriculum)
    curriculum.draw_uniformly()
    np.testing.assert_allclose(shares(curriculum), 1 / 6)
    explained = curriculum.explain(3)
    assert explained["law"] == "uniform"
    assert explained["probability"] == pytest.approx(1 / 6)
    curriculum.ban("a")
    np.testing.assert_allclose(shares(curriculum), [0, 0, 0.25, 0.25, 0.25, 0.25])
    assert {curriculum.draw().task_id for _ in range(100)} == {2, 3, 4, 5}
    assert curriculum.explain(0)["probability"] == 0.0
    curriculum.limit_share("a")
    curriculum.draw_uniformly(False)
    np.testing.assert_allclose(shares(curriculum), before)


def test_acts_are_kept_with_who_and_when(curriculum):
    assert curriculum.acts() == []
    curriculum.freeze()
    curriculum.freeze()
    curriculum.draw_uniformly()
    curriculum.limit_share("a", least=0.25)
    curriculum.limit_share("a", least=0.25)
    curriculum.limit_share("a")
    acts = curriculum.acts()
    kept = [(act["act"], act["on"], act["label"], act["least"], act["most"]) for act in acts]
    assert kept == [
        ("freeze", True, None, None, None),
        ("draw_uniformly", True, None, None, None),
        ("limit_share", None, "a", 0.25, 1.0),
        ("limit_share", None, "a", 0.0, 1.0),
    ]
    assert [act["serial"] for act in acts] == [1, 2, 3, 4]
    assert {act["pid"] for act in acts} == {os.getpid()}
    assert all(abs(act["time"] - time.time()) < LIMIT for act in acts)
    for at in range(32):
        curriculum.freeze(at % 2 == 1)
    assert [act["serial"] for act in curriculum.acts()] == list(range(5, 37))


def steer_elsewhere(name):
    with Curriculum(4, LearningProgressConfig(), session=name) as curriculum:
        curriculum.freeze()
        curriculum.draw_uniformly()
        curriculum.ban("a")


def test_all_processes_of_a_session_follow():
    name = f"test-{secrets.token_hex(8)}"
    with Curriculum(4, LearningProgressConfig(), session=name) as curriculum:
        other = multiprocessing.get_context("spawn").Process(target=steer_elsewhere, args=(name,))
        other.start()
        other.join(LIMIT)
        backend = curriculum.tracker.backend
        assert (backend.frozen, backend.uniform) == (True, True)
        assert curriculum.share_limits() == {"a": (0.0, 0.0)}
        assert [act["pid"] for act in curriculum.acts()] == [other.pid] * 3


def test_a_frozen_pool_evicts_nobody():
    maze = SingleTaskGenerator.Config(env={"maze": 1}).create()
    config = NoiseAwareConfig(use_shared_memory=False)
    curriculum = Curriculum(maze, config, pool_size=20, seed=1)

    def play():
        for _ in range(1000):
            curriculum.report(curriculum.draw().ticket, 0.5)
        return set(curriculum.tracker.get_all_tracked_tasks())

    curriculum.freeze()
    assert play() == play()
    curriculum.freeze(False)
    before = play()
    assert play() != before


class TestLooking:
    """Handles that only read."""

    def test_a_look_keeps_no_session_alive_and_no_trainer_from_starting_anew(self):
        name = f"test-{secrets.token_hex(8)}"
        trainer = Worker()
        trainer.ask(open_session, 8, name=name, seed=5)
        look = Session(name=name, mode="read-only")
        (facts,) = (facts for facts in list_sessions() if facts["name"] == name)
        assert facts["processes"] == [trainer.process.pid]
        assert facts["creator"] == trainer.process.pid
        assert facts["created"] == look.created_at
        assert abs(facts["created"] - time.time()) < LIMIT
        assert look.live
        trainer.ask(close_session)
        assert not look.live
        assert files_of(name) == []
        assert look.totals()["tasks"] == 0
        with Curriculum(4, LearningProgressConfig(), session=name) as curriculum:
            assert not look.live
            curriculum.report([1], [0.5])
            assert look.totals()["completions"] == 0
        look.close()
        trainer.end()

    def test_a_session_removed_by_force_lives_as_long_as_its_processes(self):
        name = f"test-{secrets.token_hex(8)}"
        trainer = Worker()
        trainer.ask(open_session, 8, name=name)
        look = Session(name=name, mode="read-only")
        remove_session(name, force=True)
        assert look.live
        trainer.kill()
        assert not look.live

    def test_a_dead_session_can_be_looked_at_and_is_made_anew_all_the_same(self):
        name = f"test-{secrets.token_hex(8)}"
        trainer = Worker()
        trainer.ask(open_session, 8, name=name)
        trainer.kill()
        look = Session(name=name, mode="read-only")
        assert not look.live
        assert len(look) == 0
        with pytest.raises(SessionError, match="read-only"):
            look.steer(frozen=True)
        with (
            pytest.warns(RuntimeWarning, match="made anew"),
            Curriculum(4, LearningProgressConfig(), session=name),
        ):
            assert not look.live

    def test_a_name_that_no_session_has_names_those_that_come_close(self):
        name = f"test-{secrets.token_hex(8)}"
        with Curriculum(4, LearningProgressConfig(), session=name):
            assert len(look_into(name)) == 4
            with pytest.raises(SessionError, match=f"no session '{name}x'.* mean '{name}'"):
                look_into(f"{name}x")
        with pytest.raises(SessionError, match="curricle ls"):
            look_into("\N{SNOWMAN}")

    def test_a_file_is_looked_into_by_its_path(self, tmp_path):
        path = tmp_path / "run.session"
        with Curriculum(4, LearningProgressConfig(), path=str(path)):
            pass
        look = look_into(str(path))
        assert (len(look), look.live) == (4, False)

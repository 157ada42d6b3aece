"""The Gymnasium wrapper around one environment."""

import math
import pickle
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from curricle import Curriculum, CurriculumEnv, tickets
from small_envs import TASKS, OptionsCorridor, TaskCorridor

WALK, STAND = 1, 0

gym.register("curricle-tests/Corridor-v0", entry_point="small_envs:TaskCorridor")


@pytest.fixture
def curriculum() -> Iterator[Curriculum]:
    with closing(Curriculum(TASKS, seed=3)) as made:
        yield made


def play(env: gym.Env[Any, Any], action: int = WALK) -> dict[str, Any]:
    while True:
        _, _, terminated, truncated, info = env.step(action)
        if terminated or truncated:
            return info


def total(curriculum: Curriculum, name: str) -> float:
    return curriculum.metrics()[f"env_curriculum/{name}"]


def test_check_env(curriculum: Curriculum) -> None:
    env = gym.make("curricle-tests/Corridor-v0")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(CurriculumEnv(env, curriculum))
    assert not [w for w in caught if "different from the unwrapped" not in str(w.message)]


# What Gymnasium says of any wrapped CartPole.
@pytest.mark.filterwarnings("ignore:.*(unwrapped version|infinity)")
def test_check_env_on_cartpole() -> None:
    with closing(Curriculum([{"gravity": 9.8}, {"gravity": 3.7}])) as curriculum:
        env = CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes")
        check_env(env, skip_render_check=True)


def test_the_spec_makes_the_same_wrapper(curriculum: Curriculum) -> None:
    env = CurriculumEnv(gym.make("curricle-tests/Corridor-v0"), curriculum, score="is_success")
    assert env.spec is not None
    again = gym.make(env.spec)
    assert isinstance(again, CurriculumEnv)
    assert again.curriculum is curriculum
    again.reset()
    play(again)
    assert total(curriculum, "num_completed") == 1


def test_infos_keep_one_type(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum)
    types = {"curriculum/task_id": int, "curriculum/label": str}
    _, info = env.reset()
    assert {key: type(info[key]) for key in types} == types
    types |= {"curriculum/score": float, "curriculum/lp": float}
    info = play(env)
    assert {key: type(info[key]) for key in types} == types


def test_a_task_without_label_has_an_empty_one() -> None:
    with closing(Curriculum(3)) as curriculum:
        env = CurriculumEnv(TaskCorridor(), curriculum, apply=lambda env, task: None)
        _, info = env.reset()
        assert info["curriculum/label"] == ""
        assert info["curriculum/task_id"] in range(3)


def test_steps_inside_an_episode_add_nothing(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum, metrics_every=1)
    env.reset()
    *_, info = env.step(STAND)
    assert not [key for key in info if key.startswith(("curriculum/", "env_curriculum/"))]


def test_an_episode_is_reported_once_with_its_steps(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum)
    _, at_reset = env.reset()
    info = play(env)
    *_, after = env.step(WALK)
    assert "curriculum/score" not in after
    assert total(curriculum, "num_completed") == 1
    label = info["curriculum/label"]
    assert curriculum.label_totals()[label]["env_steps"] == at_reset["played"]


def test_the_lp_is_that_of_the_task(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum)
    rng = np.random.default_rng(0)
    for _ in range(40):
        env.reset()
        info = play(env, WALK if rng.random() < 0.5 else STAND)
        lp = curriculum.tracker.get_task_stats(info["curriculum/task_id"])["lp_score"]
        assert info["curriculum/lp"] == pytest.approx(lp)


def test_a_task_that_was_evicted_meanwhile_is_late(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum)
    _, info = env.reset()
    assert curriculum.tracker.remove_task(info["curriculum/task_id"])
    info = play(env)
    assert info["curriculum/score"] == pytest.approx(1.0)
    assert math.isnan(info["curriculum/lp"])
    assert total(curriculum, "num_completed") == 0
    assert total(curriculum, "late_reports") == 1


def test_a_pickled_environment_plays_in_the_same_session(curriculum: Curriculum) -> None:
    env = pickle.loads(pickle.dumps(CurriculumEnv(TaskCorridor(), curriculum)))
    env.reset()
    play(env)
    assert total(curriculum, "num_completed") == 1


def test_a_pickled_curriculum_wraps_too(curriculum: Curriculum) -> None:
    wrap = pickle.loads(pickle.dumps(curriculum.wrap))
    env = wrap(TaskCorridor())
    env.reset()
    play(env)
    assert total(curriculum, "num_completed") == 1


def test_a_seed_repeats_the_tasks() -> None:
    def drawn(env_seed: int) -> list[int]:
        with closing(Curriculum(100, seed=3)) as curriculum:
            env = CurriculumEnv(TaskCorridor(), curriculum, apply=lambda env, task: None)
            infos = [env.reset(seed=env_seed)[1]]
            infos += [env.reset()[1] for _ in range(20)]
            return [info["curriculum/task_id"] for info in infos]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)


def test_the_seed_reaches_the_environment() -> None:
    with closing(Curriculum([{"gravity": 9.8}])) as curriculum:
        env = CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes")
        first, _ = env.reset(seed=11)
        again, _ = env.reset(seed=11)
        bare, _ = gym.make("CartPole-v1").reset(seed=11)
        assert (first == again).all()
        assert (first == bare).all()


# Evaluation.


@pytest.mark.parametrize("form", ["id", "numpy id", "task", "configuration"])
def test_evaluation_counts_nowhere(curriculum: Curriculum, form: str) -> None:
    task = curriculum.task(2)
    wanted = {
        "id": 2,
        "numpy id": np.int64(2),
        "task": task,
        "configuration": {"length": task.env_cfg["length"], "label": "length-3"},
    }[form]
    env = CurriculumEnv(TaskCorridor(), curriculum)
    before = curriculum.metrics()
    _, at_reset = env.reset(options={"task": wanted})
    info = play(env)
    assert curriculum.metrics() == before
    assert info["played"] == task.env_cfg["length"]
    assert info["curriculum/task_id"] == (-1 if form == "configuration" else 2)
    assert info["curriculum/label"] == at_reset["curriculum/label"] == task.get_label()
    assert info["curriculum/score"] == pytest.approx(1.0)
    assert math.isnan(info["curriculum/lp"])


def test_a_drawn_task_given_as_option_is_not_reported(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum)
    env.reset(options={"task": curriculum.draw()})
    play(env)
    assert total(curriculum, "num_completed") == 0


def test_training_goes_on_after_evaluation(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum)
    for task in curriculum.eval():
        env.reset(options={"task": task})
        play(env)
    env.reset()
    play(env)
    assert total(curriculum, "num_completed") == 1


def test_other_options_reach_the_environment() -> None:
    with closing(Curriculum(TASKS)) as curriculum:
        env = CurriculumEnv(OptionsCorridor(), curriculum, apply=lambda env, task: None)
        options = {"task": 0, "length": 4}
        _, info = env.reset(options=options)
        assert info["played"] == 4
        assert options == {"task": 0, "length": 4}


# Abandoned episodes.


def test_a_time_limit_outside_is_noticed_once(curriculum: Curriculum) -> None:
    env = gym.wrappers.TimeLimit(CurriculumEnv(TaskCorridor(), curriculum), 3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(12):
            env.reset()
            play(env, STAND)
    assert [w for w in caught if "TimeLimit" in str(w.message)] == caught
    assert len(caught) == 1
    assert total(curriculum, "num_completed") == 0
    assert total(curriculum, "num_scheduled") == 12


@pytest.mark.filterwarnings("error")
def test_a_time_limit_inside_counts(curriculum: Curriculum) -> None:
    env = CurriculumEnv(gym.wrappers.TimeLimit(TaskCorridor(), 3), curriculum)
    for _ in range(12):
        env.reset()
        play(env, STAND)
    assert total(curriculum, "num_completed") == 12


@pytest.mark.filterwarnings("error")
def test_resets_without_a_step_and_single_abandoned_episodes_are_no_reason(
    curriculum: Curriculum,
) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum)
    for _ in range(20):
        env.reset()
    for _ in range(4):
        for _ in range(4):
            env.reset()
            env.step(STAND)
        env.reset()
        play(env)


# Metrics in the infos.

TABLES = {
    f"env_curriculum/per_label_{table}"
    for table in ("lp_scores", "completion_counts", "samples", "rewards", "evictions")
}


def label_keys(info: dict[str, Any]) -> set[str]:
    return {key for key in info if key.startswith("env_curriculum/")}


def test_metrics_come_every_n_episodes(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum, metrics_every=3)
    shown = []
    for _ in range(9):
        env.reset()
        info = play(env)
        keys = label_keys(info)
        shown.append(bool(keys))
        if keys:
            assert keys == {f"{table}/{label}" for table in TABLES for label in TASKS}
            session = curriculum.metrics()
            assert {key: info[key] for key in keys} == {key: session[key] for key in keys}
            assert {type(info[key]) for key in keys} == {float}
    assert shown == [False, False, True] * 3


def test_labels_in_infos_are_bounded() -> None:
    tasks = {f"label {n}": {"length": 1} for n in range(20)}
    with closing(Curriculum(tasks, seed=1)) as curriculum:
        env = CurriculumEnv(TaskCorridor(), curriculum, metrics_every=60, max_metric_labels=4)
        for _ in range(60):
            env.reset()
            info = play(env)
        keys = label_keys(info)
        assert len(keys) == 4 * len(TABLES)
        samples = "env_curriculum/per_label_samples/"
        shown = sorted(value for key, value in info.items() if key.startswith(samples))
        everywhere = sorted(v for k, v in curriculum.metrics().items() if k.startswith(samples))
        assert shown == everywhere[-4:]


def test_per_label_metrics_can_be_off(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum, metrics_every=1, per_label_metrics=False)
    env.reset()
    assert not label_keys(play(env))


@pytest.mark.parametrize("number", [{"metrics_every": 0}, {"max_metric_labels": 0}])
def test_numbers_below_one(curriculum: Curriculum, number: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="=0: must be at least 1"):
        CurriculumEnv(TaskCorridor(), curriculum, **number)  # type: ignore[arg-type]


# Scores of the learner.


def test_the_learner_reports_by_ticket(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum, score=None)
    _, at_reset = env.reset()
    assert tickets(at_reset) == []
    info = play(env)
    assert "curriculum/score" not in info
    assert info["curriculum/env_steps"] == info["played"]
    assert total(curriculum, "num_completed") == 0
    (ticket,) = tickets(info)
    assert ticket.task_id == info["curriculum/task_id"]
    curriculum.report([ticket], [0.25])
    assert total(curriculum, "num_completed") == 1
    assert total(curriculum, "mean_score") == 0.25

    env.reset(options={"task": 1})
    assert tickets(play(env)) == []

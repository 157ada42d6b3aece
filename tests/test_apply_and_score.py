"""Every form of ``apply`` and ``score``, on real environments."""

import math
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from curricle import Curriculum, CurriculumEnv, CurriculumTask
from curricle.envs import Apply, Episode, Rebuild, ResetOptions
from small_envs import (
    LONGEST,
    STEP_LIMIT,
    TASKS,
    Corridor,
    MgCorridor,
    OptionsCorridor,
    TaskCorridor,
    TeamCorridor,
)

WALK, STAND = 1, 0


@pytest.fixture
def curriculum() -> Iterator[Curriculum]:
    with closing(Curriculum(TASKS, seed=3)) as made:
        yield made


def play(env: gym.Env[Any, Any], action: Any = WALK) -> dict[str, Any]:
    """Plays to the end; the last info."""
    ended, info = False, {}
    while not ended:
        _, _, terminated, truncated, info = env.step(action)
        ended = np.all(np.logical_or(terminated, truncated))
    return info


def played_tasks(env: gym.Env[Any, Any], episodes: int = 30) -> set[int]:
    """Plays episodes and holds what was played against what the infos say; the lengths seen."""
    seen = set()
    for _ in range(episodes):
        _, at_reset = env.reset()
        info = play(env)
        assert info["played"] == at_reset["played"]
        assert info["curriculum/label"] == at_reset["curriculum/label"]
        assert info["curriculum/label"] == f"length-{info['played']}"
        assert info["curriculum/task_id"] == at_reset["curriculum/task_id"]
        seen.add(info["played"])
    return seen


# How a task reaches the environment.

ALL_LENGTHS = {config["length"] for config in TASKS.values()}


@pytest.mark.parametrize("env_class", [TaskCorridor, MgCorridor])
def test_auto_finds_the_methods(curriculum: Curriculum, env_class: type[Corridor]) -> None:
    assert played_tasks(CurriculumEnv(env_class(), curriculum)) == ALL_LENGTHS


def test_auto_looks_through_wrappers(curriculum: Curriculum) -> None:
    wrapped = gym.wrappers.TimeLimit(gym.wrappers.OrderEnforcing(MgCorridor()), 50)
    assert played_tasks(CurriculumEnv(wrapped, curriculum)) == ALL_LENGTHS


def test_auto_that_finds_nothing_raises(curriculum: Curriculum) -> None:
    with pytest.raises(ValueError, match="Rebuild") as caught:
        CurriculumEnv(gym.make("CartPole-v1"), curriculum)
    for form in ("set_task", "set_mg_config", "'options'", "'attributes'", "callable"):
        assert form in str(caught.value)


def test_a_method_by_name(curriculum: Curriculum) -> None:
    class Renamed(Corridor):
        def use_level(self, level: dict[str, int]) -> None:
            self.length = level["length"]

    assert played_tasks(CurriculumEnv(Renamed(), curriculum, apply="use_level")) == ALL_LENGTHS
    with pytest.raises(ValueError, match="'use_levels'"):
        CurriculumEnv(Renamed(), curriculum, apply="use_levels")


@pytest.mark.parametrize("apply", ["options", ResetOptions(), ResetOptions(key=None)])
def test_reset_options(curriculum: Curriculum, apply: Any) -> None:
    assert played_tasks(CurriculumEnv(OptionsCorridor(), curriculum, apply=apply)) == ALL_LENGTHS


def test_the_callers_own_options_are_passed_on() -> None:
    tasks = [{"low": -0.01}, {"low": -0.02}]
    with closing(Curriculum(tasks)) as curriculum:
        env = CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply=ResetOptions(key=None))
        for _ in range(20):
            observation, _ = env.reset(options={"high": 0.0})
            assert (observation <= 0.0).all()
            assert (observation >= -0.02).all()


def test_options_that_are_no_mapping() -> None:
    with closing(Curriculum(3)) as curriculum:
        env = CurriculumEnv(OptionsCorridor(), curriculum, apply=ResetOptions(key=None))
        with pytest.raises(TypeError, match="not a mapping"):
            env.reset()


def test_attributes(curriculum: Curriculum) -> None:
    env = CurriculumEnv(gym.wrappers.TimeLimit(Corridor(), 50), curriculum, apply="attributes")
    assert played_tasks(env) == ALL_LENGTHS


def test_attributes_go_back_when_a_task_does_not_name_them() -> None:
    tasks = [{"gravity": 1.6}, {"length": 2.0, "label": "long"}]
    with closing(Curriculum(tasks, seed=1)) as curriculum:
        env = CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes")
        for task, gravity, length in [(0, 1.6, 0.5), (1, 9.8, 2.0), (0, 1.6, 0.5)]:
            env.reset(options={"task": task})
            assert (env.unwrapped.gravity, env.unwrapped.length) == (gravity, length)
            assert not hasattr(env.unwrapped, "label")


def test_attributes_of_attributes_from_slice_values() -> None:
    class Engine:
        force = 1.0

    class Car(Corridor):
        def __init__(self) -> None:
            super().__init__()
            self.engine = Engine()

    with closing(Curriculum(2)) as curriculum:
        env = CurriculumEnv(Car(), curriculum, apply="attributes")
        env.reset(options={"task": CurriculumTask(0, None, {"engine.force": 2.5})})
        assert env.unwrapped.engine.force == 2.5


def test_an_unknown_attribute_changes_nothing() -> None:
    with closing(Curriculum([{"gravity": 1.0, "gravitas": 2.0}])) as curriculum:
        env = CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes")
        with pytest.raises(AttributeError, match="'gravitas'"):
            env.reset()
        assert env.unwrapped.gravity == 9.8


def test_attributes_need_names() -> None:
    with closing(Curriculum(3)) as curriculum:
        env = CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes")
        with pytest.raises(TypeError, match="not a mapping"):
            env.reset()


def frozen_lake(config: dict[str, Any]) -> gym.Env[Any, Any]:
    return gym.make("FrozenLake-v1", desc=config["map"], is_slippery=config["slippery"])


LAKES = [
    {"map": ["SF", "FG"], "slippery": False},
    {"map": ["SF", "HG"], "slippery": True},
    {"map": ["SH", "FG"], "slippery": False},
]


def test_rebuild_builds_each_task() -> None:
    with closing(Curriculum(LAKES, seed=5)) as curriculum:
        env = CurriculumEnv(frozen_lake(LAKES[0]), curriculum, apply=Rebuild(frozen_lake))
        seen = set()
        for _ in range(20):
            _, info = env.reset()
            config = LAKES[info["curriculum/task_id"]]
            assert env.unwrapped.desc.astype(str).tolist() == [list(row) for row in config["map"]]
            assert env.spec is not None
            assert env.spec.kwargs["is_slippery"] == config["slippery"]
            seen.add(info["curriculum/task_id"])
        assert seen == {0, 1, 2}


def test_a_rebuilt_environment_goes_on_with_the_random_numbers() -> None:
    def transcript() -> list[Any]:
        with closing(Curriculum([LAKES[1]], seed=5)) as curriculum:
            env = CurriculumEnv(frozen_lake(LAKES[1]), curriculum, apply=Rebuild(frozen_lake))
            steps = []
            env.reset(seed=9)
            for _ in range(8):
                for _ in range(3):
                    observation, _, terminated, truncated, _ = env.step(1)
                    steps.append(observation)
                    if terminated or truncated:
                        break
                env.reset()
            return steps

    first = transcript()
    assert first == transcript()
    assert len(set(first)) > 1


def test_rebuild_keeps_the_spaces_and_closes_the_old() -> None:
    closed = []

    class Closing(Corridor):
        def close(self) -> None:
            closed.append(self.length)

    def build(config: dict[str, int]) -> gym.Env[Any, Any]:
        return Closing(config["length"])

    with closing(Curriculum([{"length": 2}])) as curriculum:
        env = CurriculumEnv(Closing(7), curriculum, apply=Rebuild(build))
        env.reset()
        assert closed == [7]
        assert play(env)["played"] == 2
        with pytest.raises(ValueError, match="observation_space"):
            CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply=Rebuild(build)).reset()


def test_a_callable_gets_the_task_and_may_return_an_environment(curriculum: Curriculum) -> None:
    def change(env: gym.Env[Any, Any], task: CurriculumTask) -> None:
        env.unwrapped.length = task.env_cfg["length"]  # type: ignore[attr-defined]

    def replace(env: gym.Env[Any, Any], task: CurriculumTask) -> gym.Env[Any, Any]:
        return Corridor(task.get_env_cfg()["length"])

    assert played_tasks(CurriculumEnv(Corridor(), curriculum, apply=change)) == ALL_LENGTHS
    assert played_tasks(CurriculumEnv(Corridor(), curriculum, apply=replace)) == ALL_LENGTHS


def test_an_own_strategy(curriculum: Curriculum) -> None:
    class Seeded(Apply):
        def hand_over(self, env: Any, task: CurriculumTask, options: Any) -> Any:
            env.unwrapped.length = task.env_cfg["length"]
            return env, {"noted": task.task_id}

    assert played_tasks(CurriculumEnv(Corridor(), curriculum, apply=Seeded())) == ALL_LENGTHS


def test_what_is_no_form_of_apply(curriculum: Curriculum) -> None:
    with pytest.raises(TypeError, match="apply=3"):
        CurriculumEnv(TaskCorridor(), curriculum, apply=3)  # type: ignore[arg-type]


# What an episode's score is.


def total(curriculum: Curriculum, name: str) -> float:
    return curriculum.metrics()[f"env_curriculum/{name}"]


def test_the_return_also_of_truncated_episodes(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum)
    env.reset()
    assert play(env)["curriculum/score"] == pytest.approx(1.0)
    env.reset()
    info = play(env, STAND)
    assert info["curriculum/score"] == 0.0
    assert total(curriculum, "num_completed") == 2
    assert total(curriculum, "mean_score") == pytest.approx(0.5)


def test_the_mean_over_agents(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TeamCorridor(), curriculum, score="mean_return")
    env.reset(options={"task": CurriculumTask(0, {"length": 2})})
    assert play(env, [WALK, WALK])["curriculum/score"] == pytest.approx((1.0 + 1.5) / 2)
    _, at_reset = env.reset()
    length = at_reset["played"]
    expected = (1.0 + (length + 1) / length) / 2
    assert play(env, [WALK, WALK])["curriculum/score"] == pytest.approx(expected)
    assert total(curriculum, "num_completed") == 1
    assert total(curriculum, "mean_score") == pytest.approx(expected)


def test_the_mean_over_one_agent_is_the_return(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum, score="mean_return")
    env.reset()
    assert play(env)["curriculum/score"] == pytest.approx(1.0)


@pytest.mark.parametrize("key", ["is_success", "info:is_success"])
def test_a_key_of_info(curriculum: Curriculum, key: str) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum, score=key)
    for action, expected in [(WALK, 1.0), (STAND, 0.0)]:
        env.reset()
        score = play(env, action)["curriculum/score"]
        assert type(score) is float
        assert score == expected


def test_a_missing_key_names_those_that_exist(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum, score="succes")
    env.reset()
    with pytest.raises(KeyError, match="'is_success'"):
        play(env)
    assert total(curriculum, "num_completed") == 0


def test_a_key_that_holds_no_number(curriculum: Curriculum) -> None:
    class Worded(TaskCorridor):
        def _info(self) -> dict[str, Any]:
            return {**super()._info(), "verdict": "good"}

    env = CurriculumEnv(Worded(), curriculum, score="verdict")
    env.reset()
    with pytest.raises(TypeError, match="'good'"):
        play(env)


def test_a_callable_gets_the_whole_episode(curriculum: Curriculum) -> None:
    episodes: list[Episode] = []

    def speed(episode: Episode) -> float | None:
        episodes.append(episode)
        return None if episode.truncated else 1.0 / episode.length

    env = CurriculumEnv(TaskCorridor(), curriculum, score=speed)
    _, at_reset = env.reset()
    info = play(env)
    assert info["curriculum/score"] == 1.0 / at_reset["played"]
    env.reset()
    info = play(env, STAND)
    assert math.isnan(info["curriculum/score"])
    assert math.isnan(info["curriculum/lp"])
    assert total(curriculum, "num_completed") == 1

    first, second = episodes
    assert first.return_ == pytest.approx(1.0)
    assert first.agent_returns == {0: first.return_}
    assert first.length == at_reset["played"]
    assert (first.terminated, first.truncated) == (True, False)
    assert (second.terminated, second.truncated) == (False, True)
    assert second.length == STEP_LIMIT
    assert first.info["is_success"]
    assert first.task.env_cfg == {"length": at_reset["played"]}


def test_a_score_that_is_no_finite_number_is_refused(curriculum: Curriculum) -> None:
    env = CurriculumEnv(TaskCorridor(), curriculum, score=lambda episode: math.inf)
    env.reset()
    with pytest.raises(ValueError, match="inf"):
        play(env)
    assert total(curriculum, "num_completed") == 0


def test_what_is_no_form_of_score(curriculum: Curriculum) -> None:
    with pytest.raises(TypeError, match="score=7"):
        CurriculumEnv(TaskCorridor(), curriculum, score=7)  # type: ignore[arg-type]


def test_small_float32_rewards_are_not_lost(curriculum: Curriculum) -> None:
    class Single(TaskCorridor):
        def step(self, action: int) -> Any:
            observation, _, terminated, truncated, info = super().step(action)
            reward = np.float32(1e-9 if self.steps > 1 else 1.0)
            return observation, reward, terminated, truncated, info

    env = CurriculumEnv(Single(), curriculum)
    env.reset(options={"task": {"length": LONGEST}})
    assert play(env)["curriculum/score"] == pytest.approx(1.0 + 7e-9, abs=1e-12)

"""The PettingZoo wrapper: one completion an episode of all agents."""

import functools
import math
import warnings
from collections.abc import Iterator
from contextlib import closing
from typing import Any, ClassVar

import pytest
from gymnasium.spaces import Discrete, Space
from pettingzoo import ParallelEnv
from pettingzoo.test import parallel_api_test

from curricle import Curriculum
from curricle.envs import CurriculumParallelEnv, Episode, Rebuild, tickets
from small_envs import STEP_LIMIT, TASKS

AGENTS = ["ann", "bob"]


class Race(ParallelEnv):  # type: ignore[misc]
    """Ann has ``length`` steps to go and bob one more; who has arrived leaves."""

    metadata: ClassVar[dict[str, Any]] = {"name": "race_v0", "render_modes": []}

    def __init__(self, length: int = 4) -> None:
        self.possible_agents = list(AGENTS)
        self.agents: list[str] = []
        self.length = length

    @functools.cache  # noqa: B019
    def observation_space(self, agent: str) -> Space[Any]:
        return Discrete(STEP_LIMIT + 1)

    @functools.cache  # noqa: B019
    def action_space(self, agent: str) -> Space[Any]:
        return Discrete(2)

    def set_task(self, task: dict[str, int]) -> None:
        self.length = task["length"]

    def _info(self, agent: str) -> dict[str, Any]:
        goal = self.length + AGENTS.index(agent)
        return {"played": self.length, "won": self.position[agent] >= goal}

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = list(AGENTS)
        self.position = dict.fromkeys(AGENTS, 0)
        self.steps = 0
        return dict.fromkeys(AGENTS, 0), {agent: self._info(agent) for agent in AGENTS}

    def step(self, actions: dict[str, int]) -> Any:
        self.steps += 1
        for agent, action in actions.items():
            self.position[agent] += int(action)
        live = self.agents
        infos = {agent: self._info(agent) for agent in live}
        terminations = {agent: bool(infos[agent]["won"]) for agent in live}
        truncations = {a: not terminations[a] and self.steps >= STEP_LIMIT for a in live}
        rewards = {agent: float(actions[agent]) for agent in live}
        self.agents = [a for a in live if not (terminations[a] or truncations[a])]
        observations = {agent: self.position[agent] for agent in live}
        return observations, rewards, terminations, truncations, infos


@pytest.fixture
def curriculum() -> Iterator[Curriculum]:
    with closing(Curriculum(TASKS, seed=3)) as made:
        yield made


def total(curriculum: Curriculum, name: str) -> float:
    return curriculum.metrics()[f"env_curriculum/{name}"]


def play(env: Any, walkers: tuple[str, ...] = ("ann", "bob")) -> dict[str, dict[str, Any]]:
    """Plays to the end of the last agent; the last infos. Nothing is told before."""
    while True:
        _, _, _, _, infos = env.step({agent: int(agent in walkers) for agent in env.agents})
        if not env.agents:
            return infos
        assert not [key for info in infos.values() for key in info if "curriculum" in key]


def test_parallel_api_test(curriculum: Curriculum) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(CurriculumParallelEnv(Race(), curriculum), num_cycles=100)


def test_one_completion_an_episode(curriculum: Curriculum) -> None:
    env = CurriculumParallelEnv(Race(), curriculum)
    expected = []
    for _ in range(20):
        _, at_reset = env.reset()
        length = at_reset["ann"]["played"]
        label = f"length-{length}"
        assert [at_reset[agent]["curriculum/label"] for agent in AGENTS] == [label] * 2
        infos = play(env)
        assert list(infos) == ["bob"]
        info = infos["bob"]
        assert info["curriculum/label"] == label
        assert info["curriculum/task_id"] == at_reset["ann"]["curriculum/task_id"]
        expected.append((length + length + 1) / 2)
        assert info["curriculum/score"] == expected[-1]
        assert type(info["curriculum/lp"]) is float
    assert total(curriculum, "num_completed") == 20
    assert total(curriculum, "mean_score") == pytest.approx(sum(expected) / 20)
    env_steps = sum(row["env_steps"] for row in curriculum.label_totals().values())
    assert env_steps == sum(mean + 0.5 for mean in expected)


def test_scores(curriculum: Curriculum) -> None:
    episodes: list[Episode] = []

    def ann_only(episode: Episode) -> float | None:
        episodes.append(episode)
        return episode.agent_returns["ann"]

    for score, expected in [("return", 3.0), ("mean_return", 1.5), ("won", 0.5), (ann_only, 3.0)]:
        env = CurriculumParallelEnv(Race(), curriculum, score=score)
        env.reset(options={"task": {"length": 3}})
        infos = play(env, walkers=("ann",))
        assert infos["bob"]["curriculum/score"] == expected
        assert math.isnan(infos["bob"]["curriculum/lp"])
    (episode,) = episodes
    assert (episode.terminated, episode.truncated) == (True, True)
    assert episode.length == STEP_LIMIT
    assert episode.info["ann"]["won"]
    assert not episode.info["bob"]["won"]
    assert total(curriculum, "num_completed") == 0


def test_a_missing_key_of_info(curriculum: Curriculum) -> None:
    env = CurriculumParallelEnv(Race(), curriculum, score="wins")
    env.reset()
    with pytest.raises(KeyError, match="wins"):
        play(env)


def test_the_learner_reports_by_ticket(curriculum: Curriculum) -> None:
    env = CurriculumParallelEnv(Race(), curriculum, score=None)
    env.reset()
    (ticket,) = tickets(play(env)["bob"])
    curriculum.report(ticket, 0.5)
    assert total(curriculum, "num_completed") == 1


def test_rebuild(curriculum: Curriculum) -> None:
    env = CurriculumParallelEnv(
        Race(), curriculum, apply=Rebuild(lambda config: Race(config["length"]))
    )
    seen = set()
    for _ in range(20):
        env.reset()
        info = play(env)["bob"]
        assert info["curriculum/label"] == f"length-{info['played']}"
        seen.add(info["played"])
    assert seen == {1, 2, 3, 5}


def test_rebuild_keeps_the_agents(curriculum: Curriculum) -> None:
    class Solo(Race):
        def __init__(self, length: int) -> None:
            super().__init__(length)
            self.possible_agents = ["ann"]

    env = CurriculumParallelEnv(
        Race(), curriculum, apply=Rebuild(lambda config: Solo(config["length"]))
    )
    with pytest.raises(ValueError, match="possible_agents"):
        env.reset()


def test_a_seed_repeats_the_tasks(curriculum: Curriculum) -> None:
    env = CurriculumParallelEnv(Race(), curriculum)

    def drawn() -> list[int]:
        infos = [env.reset(seed=4)[1]] + [env.reset()[1] for _ in range(10)]
        return [info["ann"]["curriculum/task_id"] for info in infos]

    assert drawn() == drawn()

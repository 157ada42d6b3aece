"""The Gymnasium wrapper inside Gymnasium's vector environments, in all their autoreset modes."""

import functools
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from curricle import Curriculum, CurriculumEnv, CurriculumTask, tickets
from small_envs import TASKS, TaskCorridor

MODES = list(AutoresetMode)
NUM_ENVS = 3

gym.register("curricle-tests/Corridors-v0", entry_point="small_envs:TaskCorridor")


@pytest.fixture
def curriculum() -> Iterator[Curriculum]:
    with closing(Curriculum(TASKS, seed=3)) as made:
        yield made


def total(curriculum: Curriculum, name: str) -> float:
    return curriculum.metrics()[f"env_curriculum/{name}"]


class Record:
    """Counts the ends of episodes and holds their infos against what was played."""

    def __init__(self) -> None:
        self.by_label: Counter[str] = Counter()
        self.score_sum = 0.0
        self.tickets: list[Any] = []

    @property
    def episodes(self) -> int:
        return sum(self.by_label.values())

    def run(self, envs: VectorEnv[Any, Any, Any], mode: AutoresetMode, steps: int) -> None:
        rng = np.random.default_rng(2)
        _, infos = envs.reset(seed=5)
        assert infos["_curriculum/task_id"].all()
        for _ in range(steps):
            actions = (rng.random(envs.num_envs) < 0.8).astype(np.int64)
            _, _, terminated, truncated, infos = envs.step(actions)
            ended = terminated | truncated
            self.tickets += tickets(infos)
            last = infos.get("final_info", {}) if mode is AutoresetMode.SAME_STEP else infos
            for i in np.flatnonzero(ended):
                assert last["_curriculum/task_id"][i]
                label = last["curriculum/label"][i]
                assert label == f"length-{last['played'][i]}"
                self.by_label[label] += 1
                if "curriculum/score" in last:
                    assert last["_curriculum/score"][i]
                    assert last["curriculum/score"].dtype == np.float64
                    self.score_sum += float(last["curriculum/score"][i])
                if mode is AutoresetMode.SAME_STEP:
                    assert infos["curriculum/label"][i] == f"length-{infos['played'][i]}"
            if mode is AutoresetMode.DISABLED and ended.any():
                _, infos = envs.reset(options={"reset_mask": ended})
                assert (infos["_curriculum/task_id"] == ended).all()


def assert_conserved(record: Record, curriculum: Curriculum) -> None:
    """Every episode that the trainer saw is counted exactly once."""
    metrics = curriculum.metrics()
    assert record.episodes > 10
    assert metrics["env_curriculum/num_completed"] == record.episodes
    assert metrics["env_curriculum/mean_score"] == pytest.approx(record.score_sum / record.episodes)
    for label, count in record.by_label.items():
        assert metrics[f"env_curriculum/per_label_completion_counts/{label}"] == count
    curriculum.verify()


def make_corridor(curriculum: Curriculum, **arguments: Any) -> CurriculumEnv[Any, Any]:
    return CurriculumEnv(TaskCorridor(), curriculum, **arguments)


def vector_env(
    kind: str, curriculum: Curriculum, mode: AutoresetMode, **arguments: Any
) -> VectorEnv[Any, Any, Any]:
    functions = [functools.partial(make_corridor, curriculum, **arguments)] * NUM_ENVS
    if kind == "sync":
        return SyncVectorEnv(functions, autoreset_mode=mode)
    return AsyncVectorEnv(functions, autoreset_mode=mode, context="fork")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_no_episode_is_lost(curriculum: Curriculum, kind: str, mode: AutoresetMode) -> None:
    envs = vector_env(kind, curriculum, mode)
    record = Record()
    record.run(envs, mode, 150)
    envs.close()
    assert_conserved(record, curriculum)


@pytest.mark.parametrize("mode", MODES)
def test_tickets_survive_the_collation(curriculum: Curriculum, mode: AutoresetMode) -> None:
    envs = vector_env("async", curriculum, mode, score=None)
    record = Record()
    record.run(envs, mode, 60)
    envs.close()
    assert len(record.tickets) == record.episodes
    assert total(curriculum, "num_completed") == 0
    curriculum.report(record.tickets, [1.0] * record.episodes)
    assert total(curriculum, "num_completed") == record.episodes


@pytest.mark.parametrize("context", ["fork", "spawn", "forkserver"])
def test_make_vec_with_the_curriculum_as_wrapper(curriculum: Curriculum, context: str) -> None:
    envs = gym.make_vec(
        "curricle-tests/Corridors-v0",
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={"context": context},
        wrappers=[curriculum.wrap],
    )
    record = Record()
    record.run(envs, AutoresetMode.NEXT_STEP, 60)
    envs.close()
    assert_conserved(record, curriculum)


def test_make_vec_in_this_process(curriculum: Curriculum) -> None:
    envs = gym.make_vec(
        "curricle-tests/Corridors-v0",
        num_envs=2,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": AutoresetMode.SAME_STEP},
        wrappers=[curriculum.wrap],
    )
    record = Record()
    record.run(envs, AutoresetMode.SAME_STEP, 60)
    envs.close()
    assert_conserved(record, curriculum)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_metrics_through_a_vector_env(curriculum: Curriculum, kind: str) -> None:
    envs = vector_env(kind, curriculum, AutoresetMode.NEXT_STEP, metrics_every=1)
    envs.reset(seed=1)
    shown: dict[str, float] = {}
    for _ in range(40):
        *_, infos = envs.step(np.ones(NUM_ENVS, dtype=np.int64))
        for key in (k for k in infos if k.startswith("env_curriculum/")):
            assert infos[key].dtype == np.float64
            shown[key] = infos[key].max()
    envs.close()
    tables = {key.split("/")[1] for key in shown}
    names = ("lp_scores", "completion_counts", "samples", "rewards", "evictions")
    assert tables == {f"per_label_{name}" for name in names}


def test_one_session_is_seen_from_the_learner(curriculum: Curriculum) -> None:
    envs = vector_env("async", curriculum, AutoresetMode.NEXT_STEP)
    envs.reset()
    for _ in range(30):
        envs.step(np.ones(NUM_ENVS, dtype=np.int64))
    live = curriculum.metrics()["env_curriculum/num_completed"]
    envs.close()
    assert live > 0
    assert curriculum.metrics()["env_curriculum/num_completed"] == live


def test_workers_draw_from_streams_of_their_own() -> None:
    with closing(Curriculum(1000, seed=4)) as curriculum:
        ignore = {"apply": _no_apply}
        envs = vector_env("async", curriculum, AutoresetMode.NEXT_STEP, **ignore)
        _, infos = envs.reset()
        ids = infos["curriculum/task_id"].tolist()
        _, seeded = envs.reset(seed=1)
        _, again = envs.reset(seed=1)
        envs.close()
    assert len(set(ids)) == NUM_ENVS
    assert (seeded["curriculum/task_id"] == again["curriculum/task_id"]).all()


def _no_apply(env: gym.Env[Any, Any], task: CurriculumTask) -> None:
    """The corridor has one length only here."""

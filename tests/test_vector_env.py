"""The wrapper for natively vectorised environments."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from curricle import Curriculum, CurriculumVectorEnv, NoiseAwareConfig, tickets
from curricle._core import Session
from curricle.envs import Episode
from curricle.generators import BucketedTaskGenerator
from small_envs import STEP_LIMIT, TASKS, BatchCorridor, TaskCorridor, VectorCorridor

MODES = list(AutoresetMode)
NUM_ENVS = 4
WALK = np.ones(NUM_ENVS, dtype=np.int64)


@pytest.fixture
def curriculum() -> Iterator[Curriculum]:
    with closing(Curriculum(TASKS, seed=3)) as made:
        yield made


def total(curriculum: Curriculum, name: str) -> float:
    return curriculum.metrics()[f"env_curriculum/{name}"]


def last_infos(infos: dict[str, Any], mode: AutoresetMode) -> dict[str, Any]:
    return infos["final_info"] if mode is AutoresetMode.SAME_STEP else infos


def run(
    envs: CurriculumVectorEnv, mode: AutoresetMode, steps: int, seed: int | None = 5
) -> tuple[Counter[str], float]:
    """Plays; episodes by label and the sum of their scores, held against what was played."""
    rng = np.random.default_rng(2)
    episodes: Counter[str] = Counter()
    score_sum = 0.0
    _, infos = envs.reset(seed=seed)
    assert infos["_curriculum/task_id"].all()
    assert infos["curriculum/label"].tolist() == [f"length-{n}" for n in infos["played"]]
    for _ in range(steps):
        actions = (rng.random(envs.num_envs) < 0.8).astype(np.int64)
        _, _, terminated, truncated, infos = envs.step(actions)
        ended = terminated | truncated
        if not ended.any():
            assert "curriculum/score" not in infos
            continue
        last = last_infos(infos, mode)
        assert (last["_curriculum/score"] == ended).all()
        for i in np.flatnonzero(ended):
            label = last["curriculum/label"][i]
            assert label == f"length-{last['played'][i]}"
            episodes[label] += 1
            score_sum += last["curriculum/score"][i]
            if mode is AutoresetMode.SAME_STEP:
                assert infos["curriculum/label"][i] == f"length-{infos['played'][i]}"
        if mode is AutoresetMode.DISABLED:
            _, infos = envs.reset(options={"reset_mask": ended})
            assert (infos["_curriculum/label"] == ended).all()
    return episodes, score_sum


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("env_class", [VectorCorridor, BatchCorridor])
def test_no_episode_is_lost(
    curriculum: Curriculum, env_class: type[VectorCorridor], mode: AutoresetMode
) -> None:
    envs = CurriculumVectorEnv(env_class(NUM_ENVS, mode), curriculum)
    episodes, score_sum = run(envs, mode, 200)
    metrics = curriculum.metrics()
    count = sum(episodes.values())
    assert count > 100
    assert metrics["env_curriculum/num_completed"] == count
    assert metrics["env_curriculum/mean_score"] == pytest.approx(score_sum / count)
    for label in TASKS:
        key = f"env_curriculum/per_label_completion_counts/{label}"
        assert metrics[key] == episodes[label] > 0
    curriculum.verify()


@pytest.mark.parametrize("mode", MODES)
def test_tasks_that_were_evicted_meanwhile_are_late(
    curriculum: Curriculum, mode: AutoresetMode
) -> None:
    envs = CurriculumVectorEnv(VectorCorridor(NUM_ENVS, mode), curriculum)
    _, infos = envs.reset(seed=1)
    gone = infos["curriculum/task_id"][0]
    assert curriculum.tracker.remove_task(int(gone))
    only_first_walks = (np.arange(NUM_ENVS) == 0).astype(np.int64)
    for _ in range(infos["played"][0]):
        _, _, terminated, _, infos = envs.step(only_first_walks)
    last = last_infos(infos, mode)
    assert terminated.tolist() == [True] + [False] * (NUM_ENVS - 1)
    assert math.isnan(last["curriculum/lp"][0])
    assert last["curriculum/score"][0] == pytest.approx(1.0)
    assert total(curriculum, "late_reports") == 1
    assert total(curriculum, "num_completed") == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_seed_repeats_the_run(mode: AutoresetMode) -> None:
    def transcript() -> tuple[Counter[str], float]:
        with closing(Curriculum(TASKS, seed=3)) as curriculum:
            envs = CurriculumVectorEnv(VectorCorridor(NUM_ENVS, mode), curriculum)
            run(envs, mode, 20, seed=1)
            return run(envs, mode, 50, seed=2)

    assert transcript() == transcript()


@pytest.mark.parametrize("mode", MODES)
def test_episodes_after_a_score_that_raises_are_counted(
    curriculum: Curriculum, mode: AutoresetMode
) -> None:
    scored = 0

    def score(episode: Episode) -> float:
        nonlocal scored
        scored += 1
        if scored % 10 == 1:
            raise RuntimeError("a bug in one episode")
        return 1.0

    envs = CurriculumVectorEnv(VectorCorridor(NUM_ENVS, mode), curriculum, score=score)
    envs.reset(seed=1)
    ended = np.zeros(NUM_ENVS, dtype=np.int64)
    raised = lost = 0
    for _ in range(200):
        before = np.array([i in envs._current for i in range(NUM_ENVS)])
        completed = total(curriculum, "num_completed")
        try:
            _, _, terminated, truncated, _ = envs.step(WALK)
        except RuntimeError:
            raised += 1
            # All that ended in that step are lost, and none before or after.
            assert total(curriculum, "num_completed") == completed
            if mode is AutoresetMode.DISABLED:
                over = before & [i not in envs._current for i in range(NUM_ENVS)]
                envs.reset(options={"reset_mask": over})
            continue
        now = terminated | truncated
        ended += now
        lost += now.sum() - (total(curriculum, "num_completed") - completed)
        if mode is AutoresetMode.DISABLED and now.any():
            envs.reset(options={"reset_mask": now})
    assert raised > 5
    assert lost == 0
    assert (ended > 10).all()


def core_calls(act: Callable[[], Any]) -> tuple[Any, list[str]]:
    """What ``act`` returns, and the names of the calls that it makes into a compiled session."""
    names: list[str] = []

    def note(frame: Any, event: str, function: Any) -> None:
        if event == "c_call" and isinstance(getattr(function, "__self__", None), Session):
            names.append(function.__name__)

    sys.setprofile(note)
    try:
        return act(), names
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize("tasks", ["fixed", "generated"])
@pytest.mark.parametrize("mode", MODES)
def test_a_step_is_one_core_call_at_most(mode: AutoresetMode, tasks: str) -> None:
    if tasks == "fixed":
        curriculum = Curriculum(TASKS, seed=3)
    else:
        # A pool that is looked at after each episode, and evicts from.
        spec = BucketedTaskGenerator.Config(base={}, buckets={"length": [2, 3, 4, 5]})
        config = NoiseAwareConfig(min_samples_for_eviction=5)
        curriculum = Curriculum(spec.create(), config, seed=3, pool_size=20)
    envs = CurriculumVectorEnv(VectorCorridor(NUM_ENVS, mode), curriculum)
    envs.reset(seed=1)
    busiest, evictions = 0, 0
    for _ in range(200):
        before = total(curriculum, "num_evicted")
        (_, _, terminated, truncated, _), calls = core_calls(lambda: envs.step(WALK))
        ended = terminated | truncated
        if total(curriculum, "num_evicted") > before:
            # A task was evicted and another made, whose label and statistics are looked at.
            evictions += 1
        else:
            assert calls == ["report_and_draw"] * int(ended.any())
        busiest = max(busiest, int(ended.sum()))
        if mode is AutoresetMode.DISABLED and ended.any():
            _, calls = core_calls(lambda mask=ended: envs.reset(options={"reset_mask": mask}))
            assert calls == ["draw_many"]
    assert busiest > 1
    assert (evictions > 0) == (tasks == "generated")
    curriculum.close()


def test_same_step_hands_the_next_task_over_before_the_end(curriculum: Curriculum) -> None:
    inner = VectorCorridor(NUM_ENVS, AutoresetMode.SAME_STEP)
    envs = CurriculumVectorEnv(inner, curriculum)
    envs.reset(seed=1)
    for _ in range(60):
        handed_over = inner.pending.copy()
        _, _, terminated, _, infos = envs.step(WALK)
        assert (infos["played"][terminated] == handed_over[terminated]).all()


def test_a_reset_in_between_keeps_the_tasks_that_were_handed_over(curriculum: Curriculum) -> None:
    inner = VectorCorridor(NUM_ENVS, AutoresetMode.SAME_STEP)
    envs = CurriculumVectorEnv(inner, curriculum)
    envs.reset(seed=1)
    handed_over = inner.pending.copy()
    _, infos = envs.reset()
    assert (infos["played"] == handed_over).all()
    assert total(curriculum, "num_scheduled") == 3 * NUM_ENVS


@pytest.mark.parametrize("mode", MODES)
def test_a_seed_for_some_leaves_the_others_alone(
    curriculum: Curriculum, mode: AutoresetMode
) -> None:
    inner = VectorCorridor(NUM_ENVS, mode)
    envs = CurriculumVectorEnv(inner, curriculum)
    envs.reset(seed=1)
    envs.step(WALK & 0)
    mask = np.arange(NUM_ENVS) < 2
    handed_over, position = inner.pending.copy(), inner.position.copy()
    _, infos = envs.reset(seed=2, options={"reset_mask": mask})
    assert (infos["_curriculum/task_id"] == mask).all()
    assert (inner.pending[~mask] == handed_over[~mask]).all()
    assert (inner.position == position).all()
    if mode is not AutoresetMode.DISABLED:
        for _ in range(20):
            envs.step(WALK)
        assert total(curriculum, "num_completed") > NUM_ENVS


@pytest.mark.parametrize("mode", MODES)
def test_evaluation_counts_nowhere(curriculum: Curriculum, mode: AutoresetMode) -> None:
    envs = CurriculumVectorEnv(VectorCorridor(NUM_ENVS, mode), curriculum)
    envs.reset()
    envs.step(WALK & 0)
    _, infos = envs.reset(options={"task": 2})
    length = curriculum.task(2).env_cfg["length"]
    assert (infos["played"] == length).all()
    assert (infos["curriculum/task_id"] == 2).all()
    for _ in range(length):
        _, _, terminated, _, infos = envs.step(WALK)
    assert terminated.all()
    last = last_infos(infos, mode)
    assert last["curriculum/score"] == pytest.approx(np.ones(NUM_ENVS))
    assert np.isnan(last["curriculum/lp"]).all()
    assert total(curriculum, "num_completed") == 0
    if mode is not AutoresetMode.DISABLED:
        for _ in range(10):
            envs.step(WALK)
        assert total(curriculum, "num_completed") > 0


@pytest.mark.parametrize("mode", MODES)
def test_the_learner_reports_by_ticket(curriculum: Curriculum, mode: AutoresetMode) -> None:
    envs = CurriculumVectorEnv(VectorCorridor(NUM_ENVS, mode), curriculum, score=None)
    envs.reset(seed=1)
    count = 0
    for _ in range(30):
        _, _, terminated, truncated, infos = envs.step(WALK)
        ended = terminated | truncated
        held = tickets(infos)
        assert len(held) == ended.sum()
        if held:
            last = last_infos(infos, mode)
            ids = last["curriculum/task_id"][last["_curriculum/ticket"]]
            assert [ticket.task_id for ticket in held] == ids.tolist()
            steps = last["curriculum/env_steps"][last["_curriculum/ticket"]]
            curriculum.report(held, [0.5] * len(held), steps.tolist())
            count += len(held)
        if mode is AutoresetMode.DISABLED and ended.any():
            envs.reset(options={"reset_mask": ended})
    assert total(curriculum, "num_completed") == count > 0


@pytest.mark.parametrize("mode", MODES)
def test_a_key_of_info_and_a_callable_get_the_last_info(
    curriculum: Curriculum, mode: AutoresetMode
) -> None:
    episodes: list[Episode] = []

    def unless_truncated(episode: Episode) -> float | None:
        episodes.append(episode)
        return None if episode.truncated else float(episode.info["is_success"])

    stand_and_walk = np.array([0, 1])
    for score in (unless_truncated, "is_success"):
        envs = CurriculumVectorEnv(VectorCorridor(2, mode), curriculum, score=score)
        envs.reset(seed=1)
        for _ in range(STEP_LIMIT):
            _, _, terminated, truncated, infos = envs.step(stand_and_walk)
            ended = terminated | truncated
            if ended[1]:
                assert last_infos(infos, mode)["curriculum/score"][1] == 1.0
            if ended.any() and mode is AutoresetMode.DISABLED:
                last = infos
                envs.reset(options={"reset_mask": ended})
            else:
                last = infos
        standing = last_infos(last, mode)["curriculum/score"][0]
        assert math.isnan(standing) if callable(score) else standing == 0.0
    cut_off = [episode for episode in episodes if episode.truncated]
    assert [episode.length for episode in cut_off] == [STEP_LIMIT]
    assert {episode.info["played"] for episode in episodes if episode.terminated} <= {1, 2, 3, 5}
    assert all(episode.task.env_cfg["length"] == episode.info["played"] for episode in episodes)


def test_metrics_every_n_episodes_and_off(curriculum: Curriculum) -> None:
    inner = VectorCorridor(NUM_ENVS, AutoresetMode.NEXT_STEP)
    envs = CurriculumVectorEnv(inner, curriculum, metrics_every=5, max_metric_labels=2)
    envs.reset(seed=1)
    shown = 0
    for _ in range(60):
        *_, infos = envs.step(WALK)
        keys = [k for k in infos if k.startswith("env_curriculum/per_label_samples/")]
        shown += len(keys) == 2
        assert len(keys) in (0, 2)
    assert shown > 3
    envs = CurriculumVectorEnv(inner, curriculum, metrics_every=1, per_label_metrics=False)
    envs.reset(seed=1)
    for _ in range(20):
        *_, infos = envs.step(WALK)
        assert not [k for k in infos if k.startswith("env_curriculum/")]


def test_a_native_environment_of_gymnasium() -> None:
    forces = {"weak": 6.0, "strong": 14.0}
    with closing(Curriculum(forces, seed=1)) as curriculum:
        inner = CartPoleVectorEnv(num_envs=NUM_ENVS, max_episode_steps=60)
        inner.force_mag = np.full(NUM_ENVS, 10.0)

        def push(env: Any, indices: np.ndarray, tasks: Any) -> None:
            env.unwrapped.force_mag[indices] = [task.env_cfg for task in tasks]

        envs = CurriculumVectorEnv(inner, curriculum, apply=push)
        envs = gym.wrappers.vector.RecordEpisodeStatistics(envs)
        envs.reset(seed=3)
        rng = np.random.default_rng(0)
        returns = []
        for _ in range(300):
            _, _, terminated, truncated, infos = envs.step(rng.integers(2, size=NUM_ENVS))
            for i in np.flatnonzero(terminated | truncated):
                returns.append(infos["episode"]["r"][i])
                assert infos["curriculum/score"][i] == infos["episode"]["r"][i]
        assert total(curriculum, "num_completed") == len(returns) > 10
        assert total(curriculum, "mean_score") == pytest.approx(np.mean(returns))


def test_what_does_not_fit_is_refused(curriculum: Curriculum) -> None:
    with pytest.raises(ValueError, match="set_tasks"):
        CurriculumVectorEnv(CartPoleVectorEnv(num_envs=2), curriculum)
    with pytest.raises(ValueError, match="wrap each of those in CurriculumEnv"):
        CurriculumVectorEnv(SyncVectorEnv([TaskCorridor]), curriculum)
    with pytest.raises(ValueError, match="'set_levels'"):
        CurriculumVectorEnv(
            VectorCorridor(2, AutoresetMode.NEXT_STEP), curriculum, apply="set_levels"
        )
    with pytest.raises(TypeError, match="apply=5"):
        CurriculumVectorEnv(
            VectorCorridor(2, AutoresetMode.NEXT_STEP),
            curriculum,
            apply=5,  # type: ignore[arg-type]
        )
    undeclared = VectorCorridor(2, AutoresetMode.NEXT_STEP)
    undeclared.metadata = {}
    with pytest.raises(ValueError, match="autoreset_mode"):
        CurriculumVectorEnv(undeclared, curriculum)


def test_a_seed_for_each_sub_environment(curriculum: Curriculum) -> None:
    def first_tasks(seed: Any) -> list[int]:
        inner = VectorCorridor(NUM_ENVS, AutoresetMode.NEXT_STEP)
        given: list[Any] = []
        reset = inner.reset

        def recorded(*, seed: Any = None, options: Any = None) -> Any:
            given.append(seed)
            return reset(seed=None, options=options)

        inner.reset = recorded  # type: ignore[method-assign]
        _, infos = CurriculumVectorEnv(inner, curriculum).reset(seed=seed)
        assert given == [seed]
        return infos["curriculum/task_id"].tolist()  # type: ignore[no-any-return]

    assert first_tasks([7, 2, 3, 4]) == first_tasks(7)
    assert first_tasks([None, 7, 3, 4]) == first_tasks(7)
    assert len(first_tasks([None] * NUM_ENVS)) == NUM_ENVS


def test_a_step_before_the_first_reset(curriculum: Curriculum) -> None:
    envs = CurriculumVectorEnv(VectorCorridor(NUM_ENVS, AutoresetMode.NEXT_STEP), curriculum)
    with pytest.raises(gym.error.ResetNeeded, match="reset"):
        envs.step(WALK)
    envs.reset()
    envs.step(WALK)

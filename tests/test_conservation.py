"""Every episode of every environment and process is counted once, for the task that it played."""

import multiprocessing
import pickle
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

from accounts import Account, Played, of_totals, recorded, summed
from conservation_workers import (
    Maker,
    abandon,
    be_killed,
    break_down,
    enter,
    evict_meanwhile,
    info_of,
    play,
    play_corridors,
)
from curricle import Curriculum
from paying_envs import Breakdown, Endless, config_of, label_of, wage

KINDS = ["single", "team", "parallel"]
PROCESSES = 8
# Fewer of those that import everything anew.
METHODS = [("fork", PROCESSES), ("spawn", 2), ("forkserver", 2)]
EPISODES = 10
STEPS = 100
TASKS = 12


def open_curriculum(steps: int) -> Curriculum:
    tasks = [config_of(task_id, steps) for task_id in range(TASKS)]
    return Curriculum(tasks, session=f"test-{secrets.token_hex(8)}", seed=5)


@pytest.fixture
def curriculum() -> Iterator[Curriculum]:
    with closing(open_curriculum(10)) as opened:
        yield opened


def gather(
    method: str, target: Callable[..., None], arguments: list[tuple[Any, ...]]
) -> tuple[Account, list[int | None]]:
    """Runs one process for each of the arguments; their accounts together, and how each ended."""
    context: Any = multiprocessing.get_context(method)
    pipes, processes = [], []
    for own in arguments:
        receiving, sending = context.Pipe(duplex=False)
        processes.append(context.Process(target=target, args=(*own, sending), daemon=True))
        processes[-1].start()
        sending.close()
        pipes.append(receiving)
    together, silent = Account(), []
    for pipe, process in zip(pipes, processes, strict=True):
        try:
            together.add(pipe.recv())
        except EOFError:
            silent.append(process.name)
    for process in processes:
        process.join()
    assert not silent, f"{silent} ended before their account"
    return together, [process.exitcode for process in processes]


def assert_conserved(curriculum: Curriculum, account: Account) -> Played:
    """The session says of every task, every label and all together what was played, and no more.

    Returns:
        All that was played.
    """
    verified = curriculum.verify()
    table = curriculum.tracker.snapshot()
    played = account.tasks
    records = recorded(table)
    assert records == {task_id: played.get(task_id, Played()) for task_id in records}
    for row in table:
        whole = row["completion_count"] > 0
        config = curriculum.task(int(row["task_id"])).env_cfg
        assert row["last_score"] <= config["steps"] * wage(config["task"])
        assert (row["last_score"] > 0.0) == whole
    totals, everything = curriculum.tracker.totals(), summed(played.values())
    assert of_totals(totals) == everything
    assert (verified["scheduled"], verified["completions"]) == (
        everything.scheduled,
        everything.completions,
    )
    assert totals["late_reports"] == account.late
    rows = curriculum.label_totals()
    for label in {label_of(task_id) for task_id in played.keys() | records.keys()}:
        expected = summed(one for task_id, one in played.items() if label_of(task_id) == label)
        assert of_totals(rows.pop(label)) == expected
    assert not rows
    assert_metrics(curriculum.metrics(), account, everything)
    return everything


def assert_metrics(metrics: dict[str, float], account: Account, everything: Played) -> None:
    """The metrics say the same again."""
    prefix = "env_curriculum/"
    assert metrics[prefix + "num_completed"] == everything.completions
    assert metrics[prefix + "num_scheduled"] == everything.scheduled
    assert metrics[prefix + "late_reports"] == account.late
    assert metrics[prefix + "mean_score"] == everything.score_sum / everything.completions
    for i in range(3):
        label = f"label-{i}"
        own = summed(one for task_id, one in account.tasks.items() if label_of(task_id) == label)
        assert metrics[f"{prefix}per_label_completion_counts/{label}"] == own.completions
        assert metrics[f"{prefix}per_label_samples/{label}"] == own.scheduled


def assert_paid(curriculum: Curriculum) -> None:
    """The scores of a task are those that its steps pay, and nobody else's."""
    for row in curriculum.tracker.snapshot():
        assert row["total_score"] == row["env_steps"] * wage(int(row["task_id"]))


@pytest.mark.parametrize(("method", "processes"), METHODS)
def test_every_episode_is_counted_for_its_task(method: str, processes: int) -> None:
    with closing(open_curriculum(STEPS)) as curriculum:
        workers = [(curriculum, "single", EPISODES)] * processes
        account, ends = gather(method, play, workers)
        assert ends == [0] * processes
        everything = assert_conserved(curriculum, account)
        assert_paid(curriculum)
        assert everything.scheduled == everything.completions == processes * EPISODES
        assert everything.env_steps == processes * EPISODES * STEPS


@pytest.mark.parametrize("kind", ["team", "parallel"])
def test_two_agents_make_one_episode(curriculum: Curriculum, kind: str) -> None:
    account, _ = gather("fork", play, [(curriculum, kind, EPISODES)] * PROCESSES)
    everything = assert_conserved(curriculum, account)
    assert everything.scheduled == everything.completions == PROCESSES * EPISODES
    assert everything.env_steps == PROCESSES * EPISODES * 10


@pytest.mark.parametrize("kind", KINDS)
def test_an_abandoned_episode_is_scheduled_and_not_completed(
    curriculum: Curriculum, kind: str
) -> None:
    account, _ = gather("fork", abandon, [(curriculum, kind, EPISODES)] * PROCESSES)
    everything = assert_conserved(curriculum, account)
    assert everything.completions == PROCESSES * EPISODES
    assert everything.scheduled == PROCESSES * (2 * EPISODES + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_environments_that_raise(curriculum: Curriculum, kind: str) -> None:
    account, ends = gather("fork", break_down, [(curriculum, kind, EPISODES)] * PROCESSES)
    assert ends == [1] * PROCESSES
    everything = assert_conserved(curriculum, account)
    assert everything.completions == PROCESSES * EPISODES
    assert everything.scheduled == PROCESSES * (2 * EPISODES + 1)


@pytest.mark.parametrize("kind", KINDS)
def test_processes_that_are_killed(curriculum: Curriculum, kind: str) -> None:
    account, ends = gather("fork", be_killed, [(curriculum, kind, EPISODES)] * PROCESSES)
    assert ends == [-signal.SIGKILL] * PROCESSES
    everything = assert_conserved(curriculum, account)
    assert everything.completions == PROCESSES * EPISODES
    assert everything.scheduled == PROCESSES * (EPISODES + 1)
    again, _ = gather("fork", play, [(curriculum, kind, EPISODES)])
    again.add(account)
    assert_conserved(curriculum, again)


@pytest.fixture
def endless() -> Iterator[Curriculum]:
    name = f"test-{secrets.token_hex(8)}"
    # The pool's own ids are below those that the processes create.
    with closing(Curriculum(Endless(), session=name, pool_size=6, max_task_id=1000)) as opened:
        yield opened


def test_a_task_that_is_evicted_takes_no_score_of_another(endless: Curriculum) -> None:
    workers = [(endless, 1000 * (1 + i), 200) for i in range(4)]
    account, _ = gather("fork", evict_meanwhile, workers)
    everything = assert_conserved(endless, account)
    assert_paid(endless)
    assert everything.scheduled == everything.completions + account.late == 4 * 200
    assert endless.tracker.totals()["tasks"] == 6
    # One task in six is evicted by its own player, others by other players.
    assert account.late > 4 * 200 / 12
    assert everything.completions > 0


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_environments_in_arrays(curriculum: Curriculum, mode: AutoresetMode) -> None:
    account, ends = gather("fork", play_corridors, [(curriculum, mode, None)] * PROCESSES)
    assert ends == [0] * PROCESSES
    everything = assert_conserved(curriculum, account)
    assert_paid(curriculum)
    assert everything.completions >= PROCESSES * 4 * 10
    assert everything.env_steps == everything.completions * 10
    # At least the four that the reset in the middle cut short, and those under way at the end.
    assert everything.scheduled >= everything.completions + PROCESSES * 8


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_evictions_beside_environments_in_arrays(endless: Curriculum, mode: AutoresetMode) -> None:
    workers = [(endless, mode, 1000 * (1 + i)) for i in range(4)]
    account, ends = gather("fork", play_corridors, workers)
    assert ends == [0] * 4
    everything = assert_conserved(endless, account)
    assert_paid(endless)
    assert min(account.late, everything.completions) > 0


def drawn(folder: Path, processes: int) -> Account:
    """What the environments were handed, by the accounts that they left."""
    together = Account()
    files = list(folder.iterdir())
    assert len(files) == processes
    for file in files:
        together.add(pickle.loads(file.read_bytes()))
    return together


def vector_env(makers: list[Maker], mode: AutoresetMode, context: str) -> AsyncVectorEnv:
    return AsyncVectorEnv(makers, autoreset_mode=mode, context=context)


FORKED = [(mode, "fork", PROCESSES) for mode in AutoresetMode]
SPAWNED = [(AutoresetMode.NEXT_STEP, "spawn", 2), (AutoresetMode.SAME_STEP, "forkserver", 2)]


@pytest.mark.parametrize(("mode", "context", "processes"), FORKED + SPAWNED)
def test_a_vector_environment(
    mode: AutoresetMode, context: str, processes: int, tmp_path: Path
) -> None:
    with (
        closing(open_curriculum(STEPS)) as curriculum,
        closing(vector_env([Maker(curriculum, tmp_path)] * processes, mode, context)) as envs,
    ):
        account = Account()
        envs.reset()
        actions = np.zeros(processes, dtype=np.int64)
        # Under next-step autoreset an episode takes the step of its reset as well.
        for _ in range(EPISODES * (STEPS + (mode is AutoresetMode.NEXT_STEP))):
            _, _, terminated, truncated, infos = envs.step(actions)
            ended = terminated | truncated
            last = infos.get("final_info", {}) if mode is AutoresetMode.SAME_STEP else infos
            for i in np.flatnonzero(ended).tolist():
                enter(account, info_of(last, i))
            if ended.any() and mode is AutoresetMode.DISABLED:
                envs.reset(options={"reset_mask": ended})
        # A second reset before the end; the episodes after it are abandoned as well.
        envs.step(actions)
        envs.reset()
        envs.close()
        account.add(drawn(tmp_path, processes))
        everything = assert_conserved(curriculum, account)
        assert_paid(curriculum)
        assert everything.completions == processes * EPISODES
        assert everything.env_steps == processes * EPISODES * STEPS
        assert everything.scheduled == processes * (EPISODES + 2)


def test_a_vector_environment_of_which_one_raises(curriculum: Curriculum, tmp_path: Path) -> None:
    makers = [Maker(curriculum, tmp_path)] * (PROCESSES - 1)
    # The seventh step of its first episode.
    makers.append(Maker(curriculum, tmp_path, breaks_at=7))
    envs = vector_env(makers, AutoresetMode.SAME_STEP, "fork")
    envs.reset()
    actions = np.zeros(PROCESSES, dtype=np.int64)
    for _ in range(6):
        envs.step(actions)
    with pytest.warns(UserWarning, match="ERROR: "), pytest.raises(Breakdown):
        envs.step(actions)
    envs.close()
    account = drawn(tmp_path, PROCESSES)
    assert summed(account.tasks.values()).scheduled == PROCESSES
    again, _ = gather("fork", play, [(curriculum, "single", EPISODES)] * PROCESSES)
    again.add(account)
    everything = assert_conserved(curriculum, again)
    assert everything.scheduled == everything.completions + PROCESSES

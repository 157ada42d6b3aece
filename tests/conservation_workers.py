"""What the processes of `test_conservation` do; importable, as spawned ones have to import it."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from accounts import Account
from curricle import Curriculum, CurriculumEnv, CurriculumVectorEnv
from curricle.envs import CurriculumParallelEnv
from paying_envs import (
    Breakdown,
    Paying,
    PayingCorridors,
    PayingRace,
    PayingTeam,
    label_of,
)

Infos = Mapping[str, Any]


class Game:
    """Any of the environments, wrapped in its curriculum, with one way to play it.

    Args:
        kind: "single", "team" (rewards in arrays), or "parallel" (PettingZoo).
        curriculum: of the wrapper.
    """

    def __init__(self, kind: str, curriculum: Curriculum) -> None:
        self.env: Any
        if kind == "single":
            self.env = CurriculumEnv(Paying(), curriculum)
        elif kind == "team":
            self.env = CurriculumEnv(PayingTeam(), curriculum, score="mean_return")
        else:
            self.env = CurriculumParallelEnv(PayingRace(), curriculum)
        self.parallel = kind == "parallel"
        self.books = self.env.unwrapped.books

    def reset(self) -> None:
        _, info = self.env.reset()
        info = info["ann"] if self.parallel else info
        assert info["curriculum/task_id"] == info["played"]
        assert info["curriculum/label"] == label_of(info["played"])

    def step(self) -> Infos | None:
        """One step of all agents; the last info at the end of the episode."""
        if self.parallel:
            *_, infos = self.env.step(dict.fromkeys(self.env.agents, 0))
            return None if self.env.agents else infos["ann"]
        _, _, terminated, truncated, info = self.env.step(0)
        return info if np.all(np.logical_or(terminated, truncated)) else None

    def play(self, most: float = math.inf) -> Infos | None:
        """An episode, or its first steps; the last info if it came to its end."""
        self.reset()
        info = None
        while info is None and self.books.steps < most:
            info = self.step()
        return info


def enter(account: Account, info: Infos) -> None:
    """Enters a finished episode as the environment saw it; late if the curriculum says so."""
    assert info["curriculum/task_id"] == info["played"]
    assert info["curriculum/label"] == label_of(info["played"])
    assert info["curriculum/score"] == info["paid"]
    if math.isnan(info["curriculum/lp"]):
        account.late += 1
    else:
        account.counted(int(info["played"]), float(info["paid"]), int(info["steps"]))


def play(curriculum: Curriculum, kind: str, episodes: int, pipe: Connection) -> None:
    """Plays every episode to its end."""
    game = Game(kind, curriculum)
    for _ in range(episodes):
        info = game.play()
        assert info is not None
        enter(game.books.account, info)
    pipe.send(game.books.account)


def abandon(curriculum: Curriculum, kind: str, episodes: int, pipe: Connection) -> None:
    """Resets a second time before the end, in the middle or at once, and is left in the middle."""
    game = Game(kind, curriculum)
    for episode in range(episodes):
        game.play(most=episode % 4)
        info = game.play()
        assert info is not None
        enter(game.books.account, info)
    game.play(most=3)
    pipe.send(game.books.account)


def break_down(curriculum: Curriculum, kind: str, episodes: int, pipe: Connection) -> None:
    """The environment raises, in its reset or later; in the end nobody catches it."""
    game = Game(kind, curriculum)
    for episode in range(episodes):
        game.books.breaks_at = episode % 4
        try:
            game.play()
        except Breakdown:
            info = game.play()
            assert info is not None
            enter(game.books.account, info)
    game.play(most=3)
    pipe.send(game.books.account)
    game.books.breaks_at = 4
    game.step()


def be_killed(curriculum: Curriculum, kind: str, episodes: int, pipe: Connection) -> None:
    """The process is killed in the middle of an episode."""
    game = Game(kind, curriculum)
    for _ in range(episodes):
        info = game.play()
        assert info is not None
        enter(game.books.account, info)
    game.play(most=3)
    pipe.send(game.books.account)
    os.kill(os.getpid(), signal.SIGKILL)


def replace_one(curriculum: Curriculum, rng: np.random.Generator, task_id: int) -> None:
    """Evicts some task and creates another in its slot, unless somebody was faster."""
    evicted = int(rng.choice(curriculum.tracker.get_all_tracked_tasks()))
    curriculum.tracker.replace_task(evicted, task_id, label=label_of(task_id))


def evict_meanwhile(curriculum: Curriculum, first_id: int, episodes: int, pipe: Connection) -> None:
    """In the middle of each episode some task, perhaps one that is being played, is evicted."""
    game = Game("single", curriculum)
    rng = np.random.default_rng(first_id)
    for task_id in range(first_id, first_id + episodes):
        game.play(most=5)
        replace_one(curriculum, rng, task_id)
        info = None
        while info is None:
            info = game.step()
        enter(game.books.account, info)
    pipe.send(game.books.account)


def play_corridors(
    curriculum: Curriculum, mode: AutoresetMode, first_id: int | None, pipe: Connection
) -> None:
    """Plays corridors in arrays and resets all of them in the middle.

    With ``first_id``, tasks are evicted meanwhile; those that take their place begin there.
    """
    inner = PayingCorridors(4, mode)
    envs = CurriculumVectorEnv(inner, curriculum)
    rng = np.random.default_rng(0)
    walk = np.ones(4, dtype=np.int64)
    for half in range(2):
        envs.reset()
        for step in range(64):
            if first_id is not None and step % 4 == 0:
                replace_one(curriculum, rng, first_id + half * 64 + step)
            _, _, terminated, truncated, infos = envs.step(walk)
            ended = terminated | truncated
            last = infos.get("final_info", {}) if mode is AutoresetMode.SAME_STEP else infos
            for i in np.flatnonzero(ended).tolist():
                enter(inner.account, info_of(last, i))
            if ended.any() and mode is AutoresetMode.DISABLED:
                envs.reset(options={"reset_mask": ended})
    inner.put_back()
    pipe.send(inner.account)


def info_of(infos: Infos, i: int) -> Infos:
    """The info of one environment among those of several."""
    return {key: values[i] for key, values in infos.items() if not key.startswith("_")}


class Maker:
    """Makes an environment that leaves its account in a folder."""

    def __init__(self, curriculum: Curriculum, folder: Path, breaks_at: int | None = None) -> None:
        self.curriculum = curriculum
        self.folder = folder
        self.breaks_at = breaks_at

    def __call__(self) -> CurriculumEnv[Any, Any]:
        env = Paying(self.folder)
        env.books.breaks_at = self.breaks_at
        return CurriculumEnv(env, self.curriculum)

"""The training loop: an actor-critic and worker processes that share one curriculum."""

import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import VectorEnv

from curricle.assembly_lines import AssemblyLinesTaskGenerator
from curricle.config import (
    LearningProgressConfig,
    NoiseAwareConfig,
    SessionConfig,
    UniformConfig,
)
from curricle.curriculum import Curriculum
from curricle.training.agent import LinearActorCritic
from curricle.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from curricle.training.curve import curve_points, write_curve
from curricle.training.engine import engine_of
from curricle.training.evaluation import evaluate, evaluation_tasks
from curricle.training.features import active_features
from curricle.training.rollout import Rollout
from curricle.training.run_length import RunLength
from curricle.training.settings import TrainSettings
from curricle.training.stopping import StopRequest
from curricle.training.workers import EnvFactory, local_envs, worker_envs

_SECONDS_BETWEEN_UPDATES = 0.5
# Episodes a task in the evaluation at the end.
_FINAL_EPISODES = 4


class Monitor(Protocol):
    """Who watches a run."""

    def show(self, progress: Progress, totals: Mapping[str, Mapping[str, float]]) -> None:
        """Called about twice a second with the session's totals by label."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a run ended with.

    Attributes:
        progress: how far it came, with its curve.
        totals: the session's totals by label.
        success: mean return of evaluation episodes by label, impossible and noisy ones included.
        is_complete: ``False`` if it was asked to stop before its last episode.
    """

    progress: Progress
    totals: dict[str, dict[str, float]]
    success: dict[str, float]
    is_complete: bool


def make_generator(settings: TrainSettings) -> AssemblyLinesTaskGenerator:
    """The tasks of a run."""
    choices = engine_of(settings.engine).choices
    config = choices(settings.tasks, settings.impossible_ratio, settings.noisy_ratio)
    rooms = {"fresh_rooms": settings.fresh_rooms}
    return AssemblyLinesTaskGenerator(config.model_copy(update=rooms))


def make_curriculum(settings: TrainSettings) -> Curriculum:
    """The curriculum of a run, in a session of its own."""
    return Curriculum(make_generator(settings), _config(settings), seed=settings.seed)


def _config(settings: TrainSettings) -> SessionConfig:
    table: dict[str, Any] = {
        "score_range": (0.0, 1.0),
        "num_active_tasks": settings.pool_size,
        "use_shared_memory": settings.backend == "shared",
    }
    if settings.curriculum == "uniform":
        return UniformConfig(**table)
    # Nothing is evicted, because every new task would have to be tried before it is known to be
    # impossible.
    table["eviction_threshold_percentile"] = 0.0
    if settings.curriculum == "noise-aware":
        return NoiseAwareConfig(**table, rand_task_rate=0.2)
    # A task gets some fifty episodes: fast EMAs, and nothing off for noise. What is learned in one
    # room helps in all, so that few draws have to be uniform. Found on other seeds than those that
    # are reported.
    return LearningProgressConfig(
        **table,
        rand_task_rate=0.1,
        use_baseline_normalization=False,
        ema_timescale=0.2,
        slow_timescale_factor=0.2,
        min_samples_for_lp=5,
        noise_deviations=0.0,
    )


def train(
    settings: TrainSettings,
    folder: Path,
    monitor: Monitor,
    stop: StopRequest,
    *,
    resume: bool = False,
    evaluates: bool = True,
) -> Result:
    """Trains for as many episodes or steps as the settings ask for, or until ``stop`` is made.

    Checkpoint and curve are written to ``folder`` along the way and at the end, whatever ended
    the run.

    Args:
        settings: what to do.
        folder: an existing folder.
        monitor: who watches.
        stop: looked at after every step of the environments.
        resume: go on from the checkpoint in ``folder``.
        evaluates: play evaluation episodes at the points of the curve and at the end; without
            them the curve has no success, and the result none.

    Raises:
        CheckpointError: there is no checkpoint to go on from, or it is damaged.
        ValueError: the run is longer than that already.
        SessionError: the shared session cannot be made.
        ChildProcessError: a worker died.
        ModuleNotFoundError: the engine is not installed.
    """
    with closing(make_curriculum(settings)) as curriculum:
        agent = LinearActorCritic(settings.agent)
        rng = np.random.default_rng(settings.seed)
        progress = load_checkpoint(folder, agent, curriculum, rng) if resume else Progress()
        length = RunLength.of(settings)
        if length.done(progress) >= length.total + settings.processes:
            raise ValueError(
                f"the run in {folder} has {length.done(progress)} {length.unit}, which is more "
                f"than {length.total}; give a larger --{length.unit}"
            )
        run = _Run(settings, folder, curriculum, agent, rng, progress, evaluates)
        has_teams = max(make_generator(settings).config.num_agents) > 1
        factory = EnvFactory(curriculum, settings.engine, has_teams)
        is_local = settings.backend == "local"
        place = local_envs(factory) if is_local else worker_envs(factory, settings.processes)
        try:
            with place as envs:
                run.learn(envs, monitor, stop)
        finally:
            run.save()
        is_complete = length.done(progress) >= length.total
        success = run.evaluate_finally() if is_complete and evaluates else {}
        return Result(progress, curriculum.label_totals(), success, is_complete)


class _Run:
    def __init__(
        self,
        settings: TrainSettings,
        folder: Path,
        curriculum: Curriculum,
        agent: LinearActorCritic,
        rng: np.random.Generator,
        progress: Progress,
        evaluates: bool,
    ) -> None:
        self.settings = settings
        self.folder = folder
        self.curriculum = curriculum
        self.agent = agent
        self.rng = rng
        self.progress = progress
        self.evaluates = evaluates
        self._choices = make_generator(settings).config
        self._engine = engine_of(settings.engine)

    def learn(self, envs: VectorEnv[Any, Any, Any], monitor: Monitor, stop: StopRequest) -> None:
        agent, rng, progress = self.agent, self.rng, self.progress
        length = RunLength.of(self.settings)
        num_steps = max(1, self.settings.agent.samples_per_update // envs.num_envs)
        # Agents of a team are rows of their own, those that a task does not have as well.
        seats = math.prod(envs.single_action_space.shape or ())
        rollout = Rollout(num_steps, envs.num_envs * seats)
        next_point = (length.done(progress) // length.interval + 1) * length.interval
        started = time.perf_counter() - progress.seconds
        last_shown = -_SECONDS_BETWEEN_UPDATES
        observations, _ = envs.reset(seed=int(rng.integers(2**31)))
        # The step after the end of an episode is the reset: its action goes nowhere.
        is_reset = np.zeros(envs.num_envs, np.bool_)
        while length.done(progress) < length.total:
            for step in range(num_steps):
                features = active_features(observations)
                actions, values = agent.act(features, rng)
                observations, rewards, terminated, truncated, _ = envs.step(
                    actions.reshape(observations.shape[:-1])
                )
                ended = terminated | truncated
                rollout.record(
                    step, features, actions, values, rewards, terminated, ended, is_reset
                )
                progress.env_steps += envs.num_envs - int(is_reset.sum())
                is_reset = ended
                progress.episodes += int(is_reset.sum())
                if stop.is_made or length.done(progress) >= length.total:
                    progress.seconds = time.perf_counter() - started
                    self.mark_point()
                    return
            _, last_values = agent.evaluate(active_features(observations))
            # Smaller steps towards the end: the last policy is the one that counts.
            rate = max(0.1, 1 - length.done(progress) / length.total)
            agent.learn(rollout, last_values, rate=rate)
            progress.seconds = time.perf_counter() - started
            if progress.seconds - last_shown > _SECONDS_BETWEEN_UPDATES:
                last_shown = progress.seconds
                monitor.show(progress, self.curriculum.label_totals())
            if length.done(progress) >= next_point:
                next_point += length.interval
                self.mark_point()
                self.save()

    def mark_point(self) -> None:
        progress = self.progress
        progress.curve += curve_points(
            progress.episodes,
            progress.env_steps,
            progress.seconds,
            self.curriculum.label_totals(),
            self.evaluate_now(),
        )

    def evaluate_now(self) -> dict[str, float]:
        if not self.evaluates:
            return {}
        return evaluate(self.agent, evaluation_tasks(self._choices), self.rng, self._engine)

    def evaluate_finally(self) -> dict[str, float]:
        tasks = evaluation_tasks(self._choices)
        if self._choices.impossible_ratio > 0.0:
            tasks += evaluation_tasks(self._choices, "impossible")
        if self._choices.noisy_ratio > 0.0:
            tasks += evaluation_tasks(self._choices, "noisy")
        return evaluate(self.agent, tasks * _FINAL_EPISODES, self.rng, self._engine)

    def save(self) -> None:
        write_curve(self.folder / "curve.csv", self.progress.curve)
        save_checkpoint(self.folder, self.agent, self.curriculum, self.rng, self.progress)

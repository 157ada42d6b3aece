"""The assembly lines in the MettaGrid engine: rules, observations, configurations, training."""

import json
import os
import subprocess
import sys
from collections import deque
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv

pytest.importorskip(
    "mettagrid",
    reason="MettaGrid is not installed: pip install 'curricle[mettagrid]', which has wheels for "
    "Python 3.11 and 3.12 on Linux with glibc 2.34 or newer",
)

from mettagrid.simulator.simulator import Simulation

from curricle import Curriculum, CurriculumEnv
from curricle.assembly_lines import (
    AssemblyLinesConfig,
    AssemblyLinesEnv,
    AssemblyLinesTaskGenerator,
)
from curricle.assembly_lines.config import ROOM_WIDTHS
from curricle.assembly_lines.layout import (
    ASSEMBLER,
    EXTRACTOR,
    HEADER_SIZE,
    OBJECT_SIZE,
    SIDES,
    build_layout,
)
from curricle.mettagrid_lines import (
    AssemblyLinesView,
    MettaGridLinesEnv,
    MettaGridTaskGenerator,
    mettagrid_config,
)
from curricle.training.agent import LinearActorCritic
from curricle.training.engine import engine_of
from curricle.training.evaluation import evaluate
from curricle.training.features import active_features
from curricle.training.rollout import Rollout
from curricle.training.settings import AgentSettings, TrainSettings
from curricle.training.trainer import make_generator
from curricle.training.workers import EnvFactory

COMMAND = [sys.executable, "-m", "curricle.cli", "train", "mettagrid-assembly-lines"]
LIMIT = 100


def machines_of(observation):
    rows = observation[HEADER_SIZE:].astype(int).reshape(-1, OBJECT_SIZE).tolist()
    return sorted(tuple(row) for row in rows if row[0])


def is_in_sight(machine):
    _, down, right, _, _ = machine
    # MettaGrid's disc of radius 7 has a tip of three cells on each side.
    return down * down + right * right <= 49 or {abs(down), abs(right)} == {1, 7}


def actions_to_use(layout, cell, index):
    """The shortest way from a cell into a machine: actions, and the cell before the last one."""
    frontier, seen = deque([(cell, [])]), {cell}
    while frontier:
        at, actions = frontier.popleft()
        for action, target in enumerate(layout.targets[at]):
            if target == -1 - index:
                return [*actions, action], at
            if target >= 0 and target not in seen:
                seen.add(target)
                frontier.append((target, [*actions, action]))
    raise AssertionError("no way")


def working_shift(config, cell):
    """The actions of an agent that uses extractor and assemblers in the order of the chain."""
    layout = build_layout(config)
    shift = []
    for index, machine in enumerate(layout.machines):
        if machine.kind in (EXTRACTOR, ASSEMBLER):
            actions, cell = actions_to_use(layout, cell, index)
            shift += actions
    return shift, cell


def start_of(config, seed):
    """Where the built-in engine puts the agent: both draw alike."""
    env = AssemblyLinesEnv(config)
    observation, _ = env.reset(seed=seed)
    extractor = next(row for row in machines_of(observation) if row[0] == EXTRACTOR)
    machine = build_layout(config).machines[0]
    return (machine.row - extractor[1]) * config.width + machine.column - extractor[2]


def choices(**changes):
    return AssemblyLinesTaskGenerator.Config(
        chain_lengths=(1, 2, 3, 6),
        num_sinks=(0, 1, 2),
        terrains=("none", "walls"),
        impossible_ratio=0.3,
        **changes,
    )


class TestEngine:
    @pytest.mark.parametrize("task_id", range(24))
    def test_it_plays_as_the_built_in_engine_does(self, task_id):
        sizes = ("small", "medium", "large")
        config = AssemblyLinesTaskGenerator(choices(room_sizes=sizes)).get_task(task_id)
        # An agent that works first, so that there is more to see than an empty hand.
        actions = working_shift(config, start_of(config, task_id))[0][:-1]
        actions += np.random.default_rng(task_id).integers(4, size=config.step_limit).tolist()
        built_in = AssemblyLinesEnv(config)
        env = AssemblyLinesView(MettaGridLinesEnv(config))
        expected, _ = built_in.reset(seed=task_id)
        observed, info = env.reset(seed=task_id)
        assert info == {"label": config.label}
        for action in actions:
            assert observed[:HEADER_SIZE].tolist() == expected[:HEADER_SIZE].tolist()
            in_sight = [machine for machine in machines_of(expected) if is_in_sight(machine)]
            assert machines_of(observed) == in_sight
            expected, *outcome = built_in.step(action)
            observed, *engine_outcome = env.step(action)
            assert engine_outcome == outcome
            if outcome[1] or outcome[2]:
                return
        raise AssertionError("the episode has no end")

    def test_fresh_rooms_are_those_of_the_built_in_engine(self):
        config = AssemblyLinesConfig(seed=None, room_size="tiny", num_sinks=2)
        built_in = AssemblyLinesEnv(config)
        env = AssemblyLinesView(MettaGridLinesEnv(config))
        rooms = []
        for seed in range(5):
            expected, _ = built_in.reset(seed=seed)
            assert machines_of(env.reset(seed=seed)[0]) == machines_of(expected)
            rooms.append(built_in._layout.machines)
        assert len(set(rooms)) == 5
        with pytest.raises(ValueError, match="a MettaGridConfig has one room"):
            MettaGridTaskGenerator(choices(fresh_rooms=True))

    @pytest.mark.parametrize("chain_length", [1, 2, 6])
    def test_the_right_order_makes_a_heart(self, chain_length):
        config = AssemblyLinesConfig(chain_length=chain_length, num_sinks=1, seed=7)
        env = MettaGridLinesEnv(config)
        env.reset(seed=3)
        actions, _ = working_shift(config, start_of(config, 3))
        outcomes = [env.step(action)[1:4] for action in actions]
        assert outcomes[-1] == (1.0, True, False)
        assert set(outcomes[:-1]) == {(0.0, False, False)}

    def test_a_heart_at_the_last_step_ends_the_episode_by_itself(self):
        config = AssemblyLinesConfig(chain_length=1, seed=7)
        actions, _ = working_shift(config, start_of(config, 3))
        env = MettaGridLinesEnv(config.model_copy(update={"max_steps": len(actions)}))
        env.reset(seed=3)
        outcomes = [env.step(action)[1:4] for action in actions]
        assert outcomes[-1] == (1.0, True, False)

    @pytest.mark.parametrize("chain_length", [1, 2])
    def test_no_order_solves_an_impossible_task(self, chain_length):
        config = AssemblyLinesConfig(chain_length=chain_length, seed=7, impossible=True)
        env = MettaGridLinesEnv(config)
        env.reset(seed=3)
        cell = start_of(config, 3)
        rewards = []
        while len(rewards) < config.step_limit:
            actions, cell = working_shift(config, cell)
            for action in actions[: config.step_limit - len(rewards)]:
                _, reward, terminated, truncated, _ = env.step(action)
                rewards.append(reward)
                assert not terminated
        assert truncated
        assert set(rewards) == {0.0}

    def test_id_and_seed_determine_an_episode(self):
        def play(seed):
            env = MettaGridLinesEnv(AssemblyLinesTaskGenerator().get_task(11))
            seen = [env.reset(seed=seed)[0]]
            seen += [env.step(action)[0] for action in (0, 1, 2, 3, 3, 2, 1, 0)]
            return np.stack(seen)

        assert np.array_equal(play(5), play(5))
        assert any(not np.array_equal(play(5), play(seed)) for seed in range(4))

    def test_a_task_begins_with_the_next_reset(self):
        env = MettaGridLinesEnv(AssemblyLinesConfig(chain_length=1))
        env.reset(seed=0)
        env.set_task(AssemblyLinesConfig(chain_length=3, room_size="tiny"))
        env.step(0)
        assert env.reset()[1] == {"label": "tiny_3chain_0sinks"}

    def test_what_it_cannot_play_is_refused(self):
        env = MettaGridLinesEnv()
        with pytest.raises(ValueError, match=r"not \('north',\); play this task with"):
            env.set_task(AssemblyLinesConfig(positions=("north",)))
        with pytest.raises(ValueError, match=r"must be 1, not 2; play this task with"):
            env.set_task(AssemblyLinesConfig(num_agents=2))
        with pytest.raises(ValueError, match=r"noisy must be False, .* play this task with"):
            env.set_task(AssemblyLinesConfig(noisy=True))
        with pytest.raises(TypeError, match="must be an AssemblyLinesConfig, not dict"):
            env.set_task({"chain_length": 2})
        env.reset(seed=0)
        with pytest.raises(ValueError, match="an action must be 0 to 3, not 4"):
            env.step(4)

    @pytest.mark.parametrize("wrap", [lambda env: env, AssemblyLinesView])
    def test_gymnasium_finds_nothing_wrong(self, wrap, recwarn):
        check_env(wrap(MettaGridLinesEnv()), skip_render_check=True)
        # The checker prefers an environment without wrappers, which a view is not.
        told = [str(warning.message) for warning in recwarn]
        assert [text for text in told if "different from the unwrapped" not in text] == []


class TestConfigurations:
    def test_labels_and_choices_are_those_of_the_tasks(self):
        lines = AssemblyLinesTaskGenerator(choices())
        generator = MettaGridTaskGenerator(choices())
        labels = set()
        for task_id in range(60):
            task = generator.task(task_id)
            assert task.env_cfg == generator.get_task(task_id)
            assert task.get_label() == task.env_cfg.label == lines.get_task(task_id).label
            assert task.slice_values == lines.task(task_id).slice_values
            labels.add(task.get_label())
        assert any(label.endswith("_IMPOSSIBLE") for label in labels)
        assert len(labels) > 20

    def test_all_tasks_are_one_game_in_other_rooms(self):
        generator = MettaGridTaskGenerator(choices())
        games = [generator.get_task(task_id).game for task_id in range(30)]
        assert len({str(game.map_builder.map_data) for game in games}) == 30
        first, *others = (
            game.model_copy(update={"map_builder": None, "max_steps": 0}) for game in games
        )
        assert all(game == first for game in others)

    def test_nothing_yields_unobtainium(self):
        game = mettagrid_config(AssemblyLinesConfig(impossible=True)).game
        assert "unobtainium" in game.resource_names
        deltas = [
            mutation.deltas.get("unobtainium", 0)
            for machine in game.objects.values()
            if machine.on_use_handler is not None
            for mutation in machine.on_use_handler.mutations
            if hasattr(mutation, "deltas")
        ]
        assert min(deltas) == -1
        assert max(deltas) == 0

    @pytest.mark.parametrize(("impossible", "rewards"), [(False, 1.0), (True, 0.0)])
    def test_mettagrid_itself_plays_them(self, impossible, rewards):
        config = AssemblyLinesConfig(chain_length=2, seed=9, impossible=impossible)
        simulation = Simulation(mettagrid_config(config), seed=1)
        agent = agent_of(simulation)
        actions, _ = working_shift(config, (agent["r"] - 1) * config.width + agent["c"] - 1)
        for action in actions:
            assert not simulation.is_done()
            move(simulation, action)
        assert simulation.episode_rewards.tolist() == [rewards]
        assert simulation.is_done() == (not impossible)

    def test_a_hand_holds_one_item(self):
        config = AssemblyLinesConfig(chain_length=1, seed=9)
        simulation = Simulation(mettagrid_config(config), seed=1)
        agent = agent_of(simulation)
        cell = (agent["r"] - 1) * config.width + agent["c"] - 1
        actions, _ = actions_to_use(build_layout(config), cell, 0)
        held = []
        for action in [*actions, actions[-1]]:
            move(simulation, action)
            held.append(sum(agent_of(simulation)["inventory"].values()))
        assert held == [0] * (len(actions) - 1) + [1, 1]

    def test_a_curriculum_gives_them_to_an_environment_of_mettagrid(self):
        env = SimulationEnv()
        with Curriculum(MettaGridTaskGenerator(choices()), pool_size=16, seed=0) as curriculum:
            wrapped = CurriculumEnv(env, curriculum)
            scores = {}
            for _ in range(12):
                _, info = wrapped.reset()
                label = info["curriculum/label"]
                assert label == env.config.label
                ended = False
                while not ended:
                    _, _, terminated, truncated, info = wrapped.step(wrapped.action_space.sample())
                    ended = terminated or truncated
                assert info["curriculum/score"] == env.simulation.episode_rewards[0]
                scores.setdefault(label, []).append(info["curriculum/score"])
            totals = curriculum.label_totals()
            for label, label_scores in scores.items():
                assert totals[label]["completions"] == len(label_scores)
                assert totals[label]["score_sum"] == sum(label_scores)


def agent_of(simulation):
    return next(entry for entry in simulation.grid_objects().values() if "agent_id" in entry)


def move(simulation, action):
    simulation._c_sim.actions()[0] = simulation.action_ids[f"move_{SIDES[action]}"]
    simulation.step()


class SimulationEnv(gym.Env):
    """What a user of MettaGrid has: an environment with ``set_mg_config`` over `Simulation`."""

    observation_space = gym.spaces.Box(0, 255, (192, 3), np.uint8)
    action_space = gym.spaces.Discrete(5)

    def set_mg_config(self, config):
        self.config = config

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.simulation = Simulation(self.config, seed or 0)
        return self.simulation._c_sim.observations()[0].copy(), {}

    def step(self, action):
        engine = self.simulation._c_sim
        engine.actions()[0] = action
        self.simulation.step()
        reward = float(engine.rewards()[0])
        return engine.observations()[0].copy(), reward, False, self.simulation.is_done(), {}


class TestTraining:
    def test_the_agent_learns_the_shortest_chain(self):
        rng = np.random.default_rng(3)
        agent = LinearActorCritic(AgentSettings(learning_rate=0.02))
        tasks = [
            AssemblyLinesConfig(chain_length=1, room_size="tiny", seed=seed) for seed in range(8)
        ]
        engine = engine_of("mettagrid-assembly-lines")
        unseen = [task.model_copy(update={"seed": 1000 + task.seed}) for task in tasks * 4]
        assert evaluate(agent, unseen, rng, engine)["tiny_1chain_0sinks"] < 0.6

        envs = SyncVectorEnv([partial(engine.make_env, task) for task in tasks])
        observations, _ = envs.reset(seed=1)
        is_reset = np.zeros(len(tasks), np.bool_)
        for _ in range(100):
            rollout = Rollout(32, len(tasks))
            for step in range(32):
                features = active_features(observations)
                actions, values = agent.act(features, rng)
                observations, rewards, terminated, truncated, _ = envs.step(actions)
                ended = terminated | truncated
                rollout.record(
                    step, features, actions, values, rewards, terminated, ended, is_reset
                )
                is_reset = ended
            agent.learn(rollout, agent.evaluate(active_features(observations))[1])
        assert evaluate(agent, unseen, rng, engine)["tiny_1chain_0sinks"] >= 0.9

    def test_a_run_of_two_processes_counts_exactly(self, tmp_path):
        folder = tmp_path / "run"
        new = ["--processes", "2", "--seed", "5", "--out", str(folder), "--episodes", "60"]
        result = subprocess.run(
            [*COMMAND, *new],
            capture_output=True,
            text=True,
            timeout=LIMIT,
            env={**os.environ, "CURRICLE_SESSION": f"curricle-test-mettagrid-{os.getpid()}"},
        )
        assert (result.returncode, result.stderr) == (0, "")
        summary = json.loads((folder / "summary.json").read_text())
        assert summary["settings"]["engine"] == "mettagrid-assembly-lines"
        # Two processes may end an episode in one step.
        assert summary["episodes"] in (60, 61)
        labels = summary["labels"]
        assert sum(label["completions"] for label in labels.values()) == summary["episodes"]
        impossible = [label for name, label in labels.items() if name.endswith("_IMPOSSIBLE")]
        assert sum(label["samples"] for label in impossible) > 0
        assert {(label["mean_reward"], label["success"]) for label in impossible} == {(0.0, 0.0)}

    def test_the_workers_play_in_mettagrid(self):
        with Curriculum(AssemblyLinesTaskGenerator(), pool_size=8) as curriculum:
            env = EnvFactory(curriculum, "mettagrid-assembly-lines", has_teams=False)()
            assert isinstance(env.unwrapped, MettaGridLinesEnv)
            _, info = env.reset(seed=0)
            assert info["curriculum/label"] == env.unwrapped.config.label

    def test_the_published_set_has_the_published_rooms(self):
        settings = TrainSettings(
            engine="mettagrid-assembly-lines", tasks="published", impossible_ratio=0.2
        )
        config = make_generator(settings).config
        assert config.chain_lengths == (2, 3, 4)
        assert all(10 <= ROOM_WIDTHS[room] <= 20 for room in config.room_sizes)
        assert config.impossible_ratio == 0.2
        tasks = [make_generator(settings).get_task(task_id) for task_id in range(8)]
        env = engine_of(settings.engine).make_env(None)
        for task in tasks:
            env.unwrapped.set_task(task)
            assert env.observation_space.contains(env.reset(seed=0)[0])

    @pytest.mark.parametrize("tasks", ["default", "long-chains", "published"])
    def test_noisy_tasks_are_refused(self, tasks):
        settings = TrainSettings(engine="mettagrid-assembly-lines", tasks=tasks, noisy_ratio=0.25)
        with pytest.raises(ValueError, match=r"must be 0, not 0\.25; .* engine='assembly-lines'"):
            make_generator(settings)

    def test_teams_are_refused(self):
        agent = LinearActorCritic(AgentSettings())
        engine = engine_of("mettagrid-assembly-lines")
        with pytest.raises(ValueError, match="num_agents must be 1, not 2"):
            evaluate(agent, [AssemblyLinesConfig(num_agents=2)], np.random.default_rng(0), engine)

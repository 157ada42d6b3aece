"""The built-in environment and its tasks."""

import itertools
import pickle
import subprocess
import sys
import warnings
from collections import Counter

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from curricle.assembly_lines import (
    AssemblyLinesConfig,
    AssemblyLinesEnv,
    AssemblyLinesTaskGenerator,
)
from curricle.assembly_lines.config import HEART, ITEMS, NOTHING, ORE, UNOBTAINIUM
from curricle.assembly_lines.layout import ASSEMBLER, SINK, build_layout

configs = st.builds(
    AssemblyLinesConfig,
    chain_length=st.integers(1, 6),
    num_sinks=st.integers(0, 2),
    room_size=st.sampled_from(["tiny", "small", "medium"]),
    terrain=st.sampled_from(["none", "walls"]),
    positions=st.sampled_from([("any",), ("north",), ("west",)]),
    seed=st.integers(0, 2**31),
)


def find_way(env, index):
    """Actions by which the agent reaches and uses machine ``index``, by breadth-first search."""
    targets = env._layout.targets
    ways = {env._cell: []}
    frontier = [env._cell]
    for cell in frontier:
        for action, target in enumerate(targets[cell]):
            if target == -1 - index:
                return [*ways[cell], action]
            if target >= 0 and target not in ways:
                ways[target] = [*ways[cell], action]
                frontier.append(target)
    raise AssertionError(f"machine {index} cannot be reached")


def play(env, indices):
    """Uses the machines in order; the last transition."""
    for index in indices:
        for action in find_way(env, index):
            transition = env.step(action)
    return transition


@pytest.mark.parametrize("terrain", ["none", "walls"])
@pytest.mark.parametrize("family", [{}, {"impossible": True}, {"noisy": True}])
def test_gymnasium_accepts_the_environment(terrain, family):
    config = AssemblyLinesConfig(terrain=terrain, num_sinks=1, **family)
    env = gym.make("curricle/AssemblyLines-v0", config=config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env.unwrapped, skip_render_check=True)


@settings(max_examples=60, deadline=None)
@given(configs)
def test_every_task_is_solved_by_using_the_assemblers_in_order(config):
    env = AssemblyLinesEnv(config)
    env.reset(seed=1)
    chain = range(config.chain_length + 1)
    observation, reward, terminated, truncated, _ = play(env, chain)
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert observation[0] == HEART


@settings(max_examples=30, deadline=None)
@given(configs)
def test_nobody_solves_an_impossible_task(config):
    impossible = AssemblyLinesTaskGenerator.make_impossible_task(config)
    assert impossible.label == config.label + "_IMPOSSIBLE"
    machines = build_layout(impossible).machines
    assert UNOBTAINIUM in {machine.accepts for machine in machines}
    assert UNOBTAINIUM not in {machine.yields for machine in machines}
    env = AssemblyLinesEnv(impossible.model_copy(update={"max_steps": 100_000}))
    env.reset(seed=1)
    chain = range(config.chain_length + 1)
    _, reward, terminated, truncated, _ = play(env, [*chain, *chain])
    assert (reward, terminated, truncated) == (0.0, False, False)


def coins(seeds, episode):
    """Returns of a noisy task by seed of the reset; ``episode`` yields actions."""
    config = AssemblyLinesConfig(chain_length=1, room_size="tiny", noisy=True)
    env = AssemblyLinesEnv(config)
    returns = []
    for seed in seeds:
        env.reset(seed=seed)
        rewards = []
        for action in episode(env):
            _, reward, terminated, truncated, _ = env.step(action)
            rewards.append(reward)
            if terminated or truncated:
                break
        assert terminated or truncated
        assert not any(rewards[:-1])
        returns.append(rewards[-1])
    return returns


def solve(env):
    for index in (0, 1):
        yield from find_way(env, index)


def test_a_coin_rewards_a_noisy_task_whatever_the_agent_does():
    seeds = range(1000)
    idle = coins(seeds, lambda env: itertools.repeat(0))
    assert set(idle) == {0.0, 1.0}
    assert np.mean(idle) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 1000))
    assert coins(seeds, solve) == idle
    assert coins(seeds, lambda env: np.random.default_rng(1).integers(4, size=60)) == idle


def test_a_noisy_episode_ends_like_others():
    config = AssemblyLinesConfig(chain_length=2)
    noisy = AssemblyLinesTaskGenerator.make_noisy_task(config)
    assert noisy.label == config.label + "_NOISY"
    for task in (config, noisy):
        env = AssemblyLinesEnv(task)
        observation, _ = env.reset(seed=3)
        assert np.array_equal(observation, AssemblyLinesEnv(config).reset(seed=3)[0])
        observation, _, *ends, _ = play(env, range(3))
        assert (observation[0], ends) == (HEART, [True, False])
        env.reset()
        ends = [env.step(0)[2:4] for _ in range(config.step_limit)]
        assert ends == [(False, False)] * (config.step_limit - 1) + [(False, True)]


def test_a_coin_falls_anew_in_every_episode():
    env = AssemblyLinesEnv(AssemblyLinesConfig(noisy=True, max_steps=1))
    env.reset(seed=0)
    returns = []
    for _ in range(400):
        returns.append(env.step(0)[1])
        env.reset()
    assert np.mean(returns) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 400))


def test_a_task_for_two_is_refused_by_the_environment_of_one():
    config = AssemblyLinesConfig(num_agents=2)
    with pytest.raises(ValueError, match="AssemblyLinesParallelEnv"):
        AssemblyLinesEnv(config)
    with pytest.raises(ValueError, match="num_agents=2"):
        AssemblyLinesEnv().set_task(config)


def test_a_sink_eats_what_is_held_and_a_wrong_machine_leaves_it():
    env = AssemblyLinesEnv(AssemblyLinesConfig(chain_length=3, num_sinks=1))
    env.reset(seed=0)
    extractor, first, second, sink = 0, 1, 2, 4
    assert env._layout.machines[sink].kind == SINK
    assert play(env, [second])[0][0] == NOTHING
    assert play(env, [extractor])[0][0] == ORE
    assert play(env, [second])[0][0] == ORE
    assert play(env, [first])[0][0] == ITEMS.index("ingot")
    assert play(env, [extractor])[0][0] == ITEMS.index("ingot")
    assert play(env, [sink])[0][0] == NOTHING


def test_the_side_of_an_assembler_matters_where_a_position_is_given():
    config = AssemblyLinesConfig(chain_length=1, positions=("north",), seed=3)
    layout = build_layout(config)
    users = {
        index: {
            action
            for cell, action in itertools.product(layout.starts, range(4))
            if layout.targets[cell][action] == -1 - index
        }
        for index in range(2)
    }
    assert layout.machines[1].kind == ASSEMBLER
    south = 2
    assert users[1] == {south}
    assert len(users[0]) > 1


def test_an_episode_is_truncated_at_its_limit():
    env = AssemblyLinesEnv(AssemblyLinesConfig(max_steps=3, impossible=True))
    env.reset(seed=0)
    outcomes = [env.step(0)[2:4] for _ in range(3)]
    assert outcomes == [(False, False), (False, False), (False, True)]


def test_a_task_set_in_mid_episode_starts_with_the_next():
    small, tiny = AssemblyLinesConfig(), AssemblyLinesConfig(room_size="tiny", chain_length=1)
    env = AssemblyLinesEnv(small)
    env.reset(seed=0)
    env.set_task(tiny)
    assert env._layout is build_layout(small)
    _, info = env.reset()
    assert env._layout is build_layout(tiny)
    assert info["label"] == "tiny_1chain_0sinks"
    with pytest.raises(TypeError, match="AssemblyLinesConfig, not dict"):
        env.set_task({"chain_length": 1})


def test_observations_name_machines_by_offset_and_items():
    env = AssemblyLinesEnv(AssemblyLinesConfig(chain_length=2, num_sinks=1, seed=5))
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    row, column = divmod(env._cell, env._layout.width)
    machines = observation[6:].reshape(-1, 5)
    for seen, machine in zip(machines, env._layout.machines, strict=False):
        offset = (machine.row - row, machine.column - column)
        assert tuple(seen) == (machine.kind, *offset, machine.accepts, machine.yields)
    assert not machines[len(env._layout.machines) :].any()


def test_the_room_as_text():
    config = AssemblyLinesConfig(
        chain_length=2, num_sinks=1, room_size="tiny", terrain="walls", impossible=True
    )
    env = AssemblyLinesEnv(config, render_mode="ansi")
    env.reset(seed=0)
    text = env.render()
    for sign, number in {"@": 1, "E": 1, "S": 1, "1": 1, "X": 1, "#": 3}.items():
        assert text.count(sign) == number
    assert text.endswith("holds nothing\n")


@pytest.mark.parametrize("seed", range(5))
def test_the_tightest_room_has_a_layout(seed):
    config = AssemblyLinesConfig(
        chain_length=6,
        num_sinks=4,
        room_size="tiny",
        terrain="walls",
        positions=("north",),
        seed=seed,
    )
    layout = build_layout(config)
    assert len(layout.machines) == 11
    assert len(layout.starts) == 25 - 11 - 3


def test_an_action_that_is_none_is_refused():
    env = AssemblyLinesEnv()
    env.reset(seed=0)
    for action in (-1, 4):
        with pytest.raises(ValueError, match=f"action must be 0 to 3, not {action}"):
            env.step(action)


@pytest.mark.parametrize(
    "fields",
    [
        {"chain_length": 0},
        {"chain_length": 7},
        {"num_sinks": 5},
        {"room_size": "huge"},
        {"positions": ()},
        {"positions": ("any", "any")},
        {"positions": ("any", "any", "any"), "num_agents": 2},
        {"num_agents": 3},
        {"noisy": True, "impossible": True},
        {"seed": -1},
        {"chain": 2},
        {"chain_length": "2"},
    ],
)
def test_a_config_refuses_what_it_does_not_know(fields):
    with pytest.raises(ValidationError, match=next(iter(fields))):
        AssemblyLinesConfig(**fields)


def test_a_task_depends_on_its_id_alone():
    generator = AssemblyLinesTaskGenerator()
    code = (
        "from curricle.assembly_lines import AssemblyLinesTaskGenerator as G;"
        "print([G().get_task(i).model_dump_json() for i in (0, 7, 2**40, -3)])"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    expected = [generator.get_task(i).model_dump_json() for i in (0, 7, 2**40, -3)]
    assert other.stdout.strip() == str(expected)
    copy = pickle.loads(pickle.dumps(generator))
    assert copy.get_task(11) == generator.get_task(11)


def test_without_a_room_of_its_own_a_task_is_in_another_one_each_episode():
    task = AssemblyLinesTaskGenerator(AssemblyLinesTaskGenerator.Config(fresh_rooms=True)).get_task(
        5
    )
    assert task == AssemblyLinesTaskGenerator().get_task(5).model_copy(update={"seed": None})

    def rooms():
        env = AssemblyLinesEnv(task)
        env.reset(seed=3)
        seen = [env._layout.machines]
        for _ in range(4):
            env.reset()
            seen.append(env._layout.machines)
        return seen

    seen = rooms()
    assert len(set(seen)) == len(seen)
    assert rooms() == seen
    with pytest.raises(ValueError, match="seed=None has another room each episode"):
        build_layout(task)


def test_the_generator_spreads_tasks_over_its_choices():
    generator = AssemblyLinesTaskGenerator()
    tasks = [generator.task(task_id) for task_id in range(3000)]
    possible = {task.get_label() for task in tasks if not task.env_cfg.impossible}
    assert len(possible) == 24
    share = np.mean([task.env_cfg.impossible for task in tasks])
    assert share == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / 3000))
    assert tasks[0].slice_values["chain_length"] == tasks[0].env_cfg.chain_length


def test_the_published_set():
    generator = AssemblyLinesTaskGenerator.Config.published(impossible_ratio=0.0).create()
    tasks = [generator.get_task(task_id) for task_id in range(3000)]
    assert {task.label for task in tasks} == {
        f"{room}_{chain}chain_{sinks}sinks{agents}"
        for room in ("small", "medium")
        for chain in (2, 3, 4)
        for sinks in (0, 1)
        for agents in ("", "_2agents")
    }
    teams = Counter((task.num_agents, task.positions) for task in tasks)
    assert teams.keys() == {(1, ("any",)), (2, ("any",)), (2, ("any", "any"))}
    for count in teams.values():
        assert count == pytest.approx(1000, abs=4 * np.sqrt(3000 * 2 / 9))


def test_the_families_have_their_shares_and_change_no_room():
    plain = AssemblyLinesTaskGenerator.Config(impossible_ratio=0.0).create()
    mixed = AssemblyLinesTaskGenerator.Config(impossible_ratio=0.1, noisy_ratio=0.2).create()
    tasks = [mixed.get_task(task_id) for task_id in range(3000)]
    for family, ratio in (("impossible", 0.1), ("noisy", 0.2)):
        share = np.mean([getattr(task, family) for task in tasks])
        assert share == pytest.approx(ratio, abs=4 * np.sqrt(ratio * (1 - ratio) / 3000))
    usual = [task.model_copy(update={"impossible": False, "noisy": False}) for task in tasks]
    assert usual == [plain.get_task(task_id) for task_id in range(3000)]


def test_a_generator_refuses_choices_that_no_task_can_have():
    with pytest.raises(ValidationError, match="chain_lengths"):
        AssemblyLinesTaskGenerator.Config(chain_lengths=(1, 9))
    with pytest.raises(ValidationError, match="impossible_ratio"):
        AssemblyLinesTaskGenerator.Config(impossible_ratio=1.5)
    with pytest.raises(ValidationError, match="together they must be at most 1"):
        AssemblyLinesTaskGenerator.Config(impossible_ratio=0.5, noisy_ratio=0.6)
    with pytest.raises(ValidationError, match="all take more agents than num_agents"):
        AssemblyLinesTaskGenerator.Config(positions=(("any", "any"),))

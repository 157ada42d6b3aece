"""The assembly lines for two agents: their rules, PettingZoo, and a real session."""

import warnings
from collections import Counter
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pettingzoo.test import parallel_api_test

from curricle import Curriculum, UniformConfig
from curricle.assembly_lines import (
    AssemblyLinesConfig,
    AssemblyLinesEnv,
    AssemblyLinesParallelEnv,
    AssemblyLinesTaskGenerator,
)
from curricle.assembly_lines.config import HEART, NOTHING, ORE
from curricle.assembly_lines.layout import OBSERVATION_SIZE, build_layout
from curricle.envs import CurriculumParallelEnv
from curricle.training.agent import LinearActorCritic
from curricle.training.evaluation import ROOMS_PER_LABEL, evaluate, evaluation_tasks
from curricle.training.features import active_features, is_present
from curricle.training.rollout import Rollout
from curricle.training.settings import AgentSettings, TrainSettings
from curricle.training.stopping import StopRequest
from curricle.training.team import TeamEnv
from curricle.training.trainer import train

AGENTS = ["agent_0", "agent_1"]
NORTH, EAST, SOUTH, WEST = range(4)
sides = st.sampled_from(["any", "north", "east", "south", "west"])
teams = st.builds(
    AssemblyLinesConfig,
    # Longer chains on two different sides may not fit into a tiny room with walls.
    chain_length=st.integers(1, 4),
    num_sinks=st.integers(0, 1),
    room_size=st.sampled_from(["tiny", "small", "medium"]),
    terrain=st.sampled_from(["none", "walls"]),
    num_agents=st.just(2),
    positions=st.one_of(st.tuples(sides), st.tuples(sides, sides)),
    seed=st.integers(0, 2**31),
)


def next_action(env, agent, machine, entry=None):
    """The first action on the agent's way to use a machine, from where an entry has it stand.

    Without an entry it is the agent's own; a machine that takes one agent has one for both.
    """
    layout = env._layout
    stands = layout.stands[machine]
    stand = stands[(agent if entry is None else entry) % len(stands)]
    start = env._cells[agent]
    ways = {start: []}
    frontier = [start]
    for cell in frontier:
        for action, target in enumerate(layout.targets[cell]):
            if target == -1 - machine and cell in stand:
                return [*ways[cell], action][0]
            if target >= 0 and target not in ways:
                ways[target] = [*ways[cell], action]
                frontier.append(target)
    raise AssertionError(f"machine {machine} cannot be reached")


def use_together(env, machine, entries=(0, 1)):
    """Both walk to a machine and use it until both hold something else; the last transition."""
    before = list(env._held)
    while env.agents and any(held == was for held, was in zip(env._held, before, strict=True)):
        transition = env.step(
            # Who was served by itself goes on pushing, which changes nothing.
            {
                name: next_action(env, agent, machine, entries[agent])
                for agent, name in enumerate(AGENTS)
            }
        )
    return transition


@settings(max_examples=60, deadline=None)
@given(teams)
def test_every_task_is_solved_by_two_who_use_the_assemblers_in_order(config):
    env = AssemblyLinesParallelEnv(config)
    env.reset(seed=1)
    for machine in range(config.chain_length + 1):
        assert env.agents == AGENTS
        observations, rewards, terminations, truncations, _ = use_together(env, machine)
    assert HEART in [observations[agent][0] for agent in AGENTS]
    assert rewards == dict.fromkeys(AGENTS, 1.0)
    assert terminations == dict.fromkeys(AGENTS, True)
    assert truncations == dict.fromkeys(AGENTS, False)
    assert env.agents == []


@settings(max_examples=30, deadline=None)
@given(teams)
def test_nobody_solves_an_impossible_task(config):
    impossible = AssemblyLinesTaskGenerator.make_impossible_task(config)
    env = AssemblyLinesParallelEnv(impossible.model_copy(update={"max_steps": 300}))
    rng = np.random.default_rng(0)
    env.reset(seed=1)
    for machine in range(config.chain_length):
        use_together(env, machine)
    total = 0.0
    while env.agents:
        machine = int(rng.integers(config.chain_length + 1))
        actions = {name: next_action(env, agent, machine) for agent, name in enumerate(AGENTS)}
        total += sum(env.step(actions)[1].values())
    assert total == 0.0


def room_of_two(positions=("any", "any")):
    """A room with one assembler, and the agents empty-handed somewhere in it."""
    config = AssemblyLinesConfig(chain_length=1, num_agents=2, positions=positions, seed=4)
    env = AssemblyLinesParallelEnv(config)
    env.reset(seed=0)
    return env


def test_an_assembler_with_one_position_serves_one_agent():
    env = room_of_two(("any",))
    for machine in (0, 1):
        while env._held[0] == (NOTHING, ORE)[machine]:
            env.step({"agent_0": next_action(env, 0, machine), "agent_1": NORTH})
    assert env._held[0] == HEART
    assert env.agents == []


def test_an_assembler_with_two_positions_waits_for_the_other_agent():
    env = room_of_two()
    use_together(env, 0)
    assert env._held == [ORE, ORE]
    while (action := next_action(env, 0, 1)) is not None:
        alone = env._layout.targets[env._cells[0]][action] == -2
        away = env._cells[1] not in env._layout.stands[1][0]
        if alone and away:
            break
        env.step({"agent_0": action, "agent_1": next_action(env, 1, 0)})
    for _ in range(3):
        # The extractor changes nothing for hands that are full.
        env.step({"agent_0": action, "agent_1": next_action(env, 1, 0)})
        assert env._held == [ORE, ORE]
    assert use_together(env, 1)[1] == dict.fromkeys(AGENTS, 1.0)


def test_both_must_hold_what_an_assembler_for_two_accepts():
    env = room_of_two()
    while env._held[0] == NOTHING:
        env.step({"agent_0": next_action(env, 0, 0), "agent_1": next_action(env, 1, 1)})
    for _ in range(20):
        env.step({"agent_0": next_action(env, 0, 1), "agent_1": next_action(env, 1, 1)})
    both = env._layout.stands[1][0]
    assert both.issuperset(env._cells)
    assert env._held == [ORE, NOTHING]
    while env._held[1] == NOTHING:
        env.step({"agent_0": next_action(env, 0, 1), "agent_1": next_action(env, 1, 0)})
    assert use_together(env, 1)[1] == dict.fromkeys(AGENTS, 1.0)


@pytest.mark.parametrize("entries", [(0, 1), (1, 0)])
@pytest.mark.parametrize("seed", range(10))
def test_the_agents_may_take_the_positions_in_either_order(entries, seed):
    config = AssemblyLinesConfig(
        chain_length=1, num_agents=2, positions=("north", "south"), seed=seed
    )
    env = AssemblyLinesParallelEnv(config)
    env.reset(seed=seed)
    use_together(env, 0, entries)
    assert use_together(env, 1, entries)[1] == dict.fromkeys(AGENTS, 1.0)
    assembler = env._layout.machines[1]
    rows = [cell // env._layout.width - assembler.row for cell in env._cells]
    assert rows == [(-1, 1)[entry] for entry in entries]


def test_an_assembler_for_two_sides_does_not_work_from_one():
    env = room_of_two(("north", "south"))
    use_together(env, 0)
    for _ in range(env.config.step_limit // 2):
        env.step({name: next_action(env, agent, 1, 0) for agent, name in enumerate(AGENTS)})
    (north,) = env._layout.stands[1][0]
    assert env._cells == [north, north]
    assert env._held == [ORE, ORE]


def test_one_position_leaves_the_rooms_of_one_agent_as_they_are():
    one = AssemblyLinesConfig(chain_length=3, seed=8)
    two = one.model_copy(update={"num_agents": 2, "positions": ("any", "any")})
    assert build_layout(one).machines == build_layout(two).machines
    assert build_layout(one).targets == build_layout(two).targets


def test_a_task_of_one_agent_is_that_of_the_gymnasium_environment():
    config = AssemblyLinesConfig(chain_length=2, num_sinks=1)
    single, parallel = AssemblyLinesEnv(config), AssemblyLinesParallelEnv(config)
    observation, info = single.reset(seed=5)
    observations, infos = parallel.reset(seed=5)
    assert (parallel.agents, infos) == (["agent_0"], {"agent_0": info})
    rng = np.random.default_rng(0)
    while parallel.agents:
        seen = observations["agent_0"]
        assert np.array_equal(seen[:OBSERVATION_SIZE], observation)
        assert not seen[OBSERVATION_SIZE:].any()
        action = int(rng.integers(4))
        observation, *outcome, _ = single.step(action)
        observations, *outcomes, _ = parallel.step({"agent_0": action})
        assert [values["agent_0"] for values in outcomes] == outcome


def test_each_agent_sees_the_other():
    config = AssemblyLinesConfig(num_agents=2, positions=("any", "south"))
    env = AssemblyLinesParallelEnv(config)
    observations, _ = env.reset(seed=2)
    use_together(env, 0)
    observations = env.step({"agent_0": NORTH, "agent_1": WEST})[0]
    places = [divmod(cell, env._layout.width) for cell in env._cells]
    for agent, other in ((0, 1), (1, 0)):
        seen = observations[AGENTS[agent]]
        assert seen in env.observation_space(AGENTS[agent])
        down, right = np.subtract(places[other], places[agent])
        south_as_second = 2 + SOUTH
        assert seen[OBSERVATION_SIZE:].tolist() == [1, down, right, ORE, south_as_second]


def test_the_coin_of_a_noisy_task_is_one_for_both():
    config = AssemblyLinesConfig(num_agents=2, noisy=True, max_steps=2)
    env = AssemblyLinesParallelEnv(config)
    returns = []
    for seed in range(400):
        env.reset(seed=seed)
        assert set(env.step(dict.fromkeys(AGENTS, NORTH))[1].values()) == {0.0}
        first, second = env.step(dict.fromkeys(AGENTS, seed % 4))[1].values()
        assert first == second
        returns.append(first)
    assert np.mean(returns) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / 400))


def test_the_room_as_text():
    env = AssemblyLinesParallelEnv(AssemblyLinesConfig(num_agents=2), render_mode="ansi")
    env.reset(seed=1)
    text = env.render()
    assert text.count("@") == len(set(env._cells))
    assert text.endswith("holds nothing\nholds nothing\n")


def test_what_is_no_step_is_refused():
    env = AssemblyLinesParallelEnv(AssemblyLinesConfig(num_agents=2))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"each of \['agent_0', 'agent_1'\], not for"):
        env.step({"agent_0": 0})
    with pytest.raises(ValueError, match="action of agent_1 must be 0 to 3, not 4"):
        env.step({"agent_0": 0, "agent_1": 4})
    with pytest.raises(TypeError, match="AssemblyLinesConfig, not dict"):
        env.set_task({"num_agents": 2})


@pytest.mark.parametrize("wrapped", [False, True])
def test_parallel_api_test(wrapped):
    # A task of one agent would be warned of, because the test waits for all possible agents.
    generator = AssemblyLinesTaskGenerator.Config(num_agents=(2,), noisy_ratio=0.1).create()
    with closing(Curriculum(generator, UniformConfig(num_active_tasks=40), seed=1)) as curriculum:
        env = AssemblyLinesParallelEnv(AssemblyLinesConfig(num_agents=2, max_steps=20))
        if wrapped:
            env = CurriculumParallelEnv(env, curriculum)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            parallel_api_test(env, num_cycles=300)


def test_a_session_counts_episodes_of_all_agents_once():
    config = AssemblyLinesTaskGenerator.Config.published(impossible_ratio=0.2, noisy_ratio=0.4)
    generator = config.create()
    rng = np.random.default_rng(0)
    sums = {}
    with closing(Curriculum(generator, UniformConfig(num_active_tasks=60), seed=2)) as curriculum:
        env = CurriculumParallelEnv(AssemblyLinesParallelEnv(), curriculum)
        env.reset(seed=3)
        for _ in range(60):
            _, infos = env.reset()
            task = generator.get_task(infos["agent_0"]["curriculum/task_id"])
            assert len(env.agents) == task.num_agents
            while env.agents:
                agents = env.agents
                actions = rng.integers(4, size=len(agents)).tolist()
                _, rewards, _, _, infos = env.step(dict(zip(agents, actions, strict=True)))
            score = np.mean(list(rewards.values()))
            assert infos["agent_0"]["curriculum/score"] == score
            done, total = sums.get(task.label, (0, 0.0))
            sums[task.label] = (done + 1, total + score)
        totals = {
            label: (row["completions"], row["score_sum"])
            for label, row in curriculum.label_totals().items()
            if row["completions"]
        }
        assert totals == sums
        assert sum(score for label, (_, score) in sums.items() if label.endswith("NOISY")) > 0
        curriculum.verify()


def test_a_team_is_one_environment_with_a_row_for_each_agent():
    env = TeamEnv(AssemblyLinesParallelEnv(AssemblyLinesConfig(max_steps=2)))
    observation, _ = env.reset(seed=0)
    assert observation in env.observation_space
    assert is_present(active_features(observation)).tolist() == [True, False]
    assert env.step(np.array([0, 3]))[2:4] == (False, False)
    observation, reward, *ends, _ = env.step(np.array([0, 3]))
    assert (reward, ends) == (0.0, [False, True])


def test_a_rollout_has_a_column_for_each_agent():
    configs = [AssemblyLinesConfig(num_agents=agents) for agents in (2, 1, 2)]
    seen = [TeamEnv(AssemblyLinesParallelEnv(config)).reset(seed=0)[0] for config in configs]
    features = active_features(np.stack(seen))
    rollout = Rollout(1, 6)
    rollout.record(
        0,
        features,
        np.arange(6) % 4,
        np.arange(6) / 10,
        rewards=np.array([1.0, 0.0, 0.5]),
        terminated=np.array([True, False, False]),
        ended=np.array([True, True, False]),
        is_reset=np.array([False, False, True]),
    )
    assert np.array_equal(rollout.features[0], features)
    assert rollout.actions[0].tolist() == [0, 1, 2, 3, 0, 1]
    assert rollout.values[0].tolist() == [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert rollout.rewards[0].tolist() == [1.0, 1.0, 0.0, 0.0, 0.5, 0.5]
    assert rollout.terminated[0].tolist() == [True] * 2 + [False] * 4
    assert rollout.ended[0].tolist() == [True] * 4 + [False] * 2
    # The task of the second has no other agent, and the third was only reset.
    assert rollout.is_step[0].tolist() == [True, True, True, False, False, False]


@pytest.mark.parametrize("positions", [("any",), ("any", "any")])
def test_both_kinds_of_teams_can_be_learned(positions):
    rng = np.random.default_rng(3)
    agent = LinearActorCritic(AgentSettings(learning_rate=0.02))
    tasks = [
        AssemblyLinesConfig(
            chain_length=1, room_size="tiny", num_agents=2, positions=positions, seed=seed
        )
        for seed in range(8)
    ]
    envs = [TeamEnv(AssemblyLinesParallelEnv(task)) for task in tasks]
    observations = np.stack([env.reset(seed=1)[0] for env in envs])
    for _ in range(150):
        rollout = Rollout(32, 2 * len(envs))
        rollout.is_step[:] = True
        for step in range(32):
            rollout.features[step] = active_features(observations)
            rollout.actions[step], rollout.values[step] = agent.act(rollout.features[step], rng)
            actions = rollout.actions[step].reshape(len(envs), 2)
            for index, env in enumerate(envs):
                observation, reward, terminated, truncated, _ = env.step(actions[index])
                if terminated or truncated:
                    observation, _ = env.reset()
                observations[index] = observation
                rows = slice(2 * index, 2 * index + 2)
                rollout.rewards[step, rows] = reward
                rollout.terminated[step, rows] = terminated or truncated
        rollout.ended[:] = rollout.terminated
        agent.learn(rollout, agent.evaluate(active_features(observations))[1])
    unseen = [task.model_copy(update={"seed": 1000 + task.seed}) for task in tasks * 4]
    assert evaluate(agent, unseen, rng)["tiny_1chain_0sinks_2agents"] >= 0.9


def test_an_evaluation_has_all_labels_and_all_teams():
    choices = AssemblyLinesTaskGenerator.Config.published()
    tasks = evaluation_tasks(choices)
    labels = Counter(task.label for task in tasks)
    assert labels == dict.fromkeys(labels, ROOMS_PER_LABEL)
    assert len(labels) == 24
    assert {(task.num_agents, task.positions) for task in tasks} == set(choices.teams)


class Silent:
    """A monitor that shows nothing."""

    def show(self, progress, totals):
        pass


@pytest.mark.parametrize("backend", ["shared", "local"])
def test_the_job_trains_teams(backend, tmp_path):
    settings = TrainSettings(
        tasks="published", backend=backend, processes=1, episodes=20, pool_size=40, seed=1
    )
    result = train(settings, tmp_path, Silent(), StopRequest(), evaluates=False)
    assert result.is_complete
    agents = {label.partition("_2agents")[1] for label in result.totals}
    assert agents == {"", "_2agents"}
    assert 20 <= sum(total["completions"] for total in result.totals.values()) <= 23

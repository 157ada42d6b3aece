"""How good the agent is, label by label, on rooms that training never draws."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import product
from typing import Literal

import numpy as np

from curricle.assembly_lines import AssemblyLinesConfig, AssemblyLinesTaskGenerator
from curricle.training.agent import LinearActorCritic
from curricle.training.engine import BUILT_IN, Engine
from curricle.training.features import active_features
from curricle.training.workers import make_env

Family = Literal["normal", "impossible", "noisy"]

ROOMS_PER_LABEL = 8
# The generator's seeds are task ids, and drawn ids are below 2**31.
_FIRST_SEED = 2**40


def evaluation_tasks(
    choices: AssemblyLinesTaskGenerator.Config, family: Family = "normal"
) -> list[AssemblyLinesConfig]:
    """``ROOMS_PER_LABEL`` tasks of every label of a family that a generator of these makes."""
    rooms = product(
        dict.fromkeys(choices.num_agents),
        choices.chain_lengths,
        choices.num_sinks,
        choices.room_sizes,
        range(ROOMS_PER_LABEL),
    )
    tasks = []
    for agents, chain, sinks, room, index in rooms:
        positions = [entries for count, entries in choices.teams if count == agents]
        if positions:
            tasks.append(
                AssemblyLinesConfig(
                    chain_length=chain,
                    num_sinks=sinks,
                    room_size=room,
                    terrain=choices.terrains[index % len(choices.terrains)],
                    num_agents=agents,
                    positions=positions[index % len(positions)],
                    seed=_FIRST_SEED + index,
                    impossible=family == "impossible",
                    noisy=family == "noisy",
                )
            )
    return tasks


def evaluate(
    agent: LinearActorCritic,
    tasks: Sequence[AssemblyLinesConfig],
    rng: np.random.Generator,
    engine: Engine = BUILT_IN,
) -> dict[str, float]:
    """Mean return by label: an episode for each entry, which no curriculum counts.

    A return is 1 where the task was solved, else 0; of a noisy task it is its coin.
    """
    has_teams = engine.has_teams and any(task.num_agents > 1 for task in tasks)
    going = [(task.label, make_env(task, engine, has_teams)) for task in tasks]
    seeds = rng.integers(2**31, size=len(going))
    observations = [
        env.reset(seed=int(seed))[0] for (_, env), seed in zip(going, seeds, strict=True)
    ]
    returns: dict[str, list[float]] = defaultdict(list)
    while going:
        seen = np.stack(observations)
        actions, _ = agent.act(active_features(seen), rng)
        playing, going, observations = going, [], []
        for (label, env), action in zip(playing, actions.reshape(seen.shape[:-1]), strict=True):
            observation, reward, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                # Rewards come with the last step alone.
                returns[label].append(float(reward))
            else:
                going.append((label, env))
                observations.append(observation)
    return {label: sum(values) / len(values) for label, values in sorted(returns.items())}

"""How good the agent is, label by label, on rooms that training never draws."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import product

import numpy as np

from curricle.assembly_lines import (
    AssemblyLinesConfig,
    AssemblyLinesEnv,
    AssemblyLinesTaskGenerator,
)
from curricle.training.agent import LinearActorCritic
from curricle.training.features import active_features

ROOMS_PER_LABEL = 8
# The generator's seeds are task ids, and drawn ids are below 2**31.
_FIRST_SEED = 2**40


def evaluation_tasks(
    choices: AssemblyLinesTaskGenerator.Config, *, impossible: bool = False
) -> list[AssemblyLinesConfig]:
    """``ROOMS_PER_LABEL`` tasks of every label that a generator of these choices makes."""
    rooms = product(
        choices.chain_lengths, choices.num_sinks, choices.room_sizes, range(ROOMS_PER_LABEL)
    )
    return [
        AssemblyLinesConfig(
            chain_length=chain,
            num_sinks=sinks,
            room_size=room,
            terrain=choices.terrains[index % len(choices.terrains)],
            positions=choices.positions[index % len(choices.positions)],
            seed=_FIRST_SEED + index,
            impossible=impossible,
        )
        for chain, sinks, room, index in rooms
    ]


def evaluate(
    agent: LinearActorCritic, tasks: Sequence[AssemblyLinesConfig], rng: np.random.Generator
) -> dict[str, float]:
    """Share of solved episodes by label: an episode for each entry, which no curriculum counts."""
    envs = [AssemblyLinesEnv(task) for task in tasks]
    seeds = rng.integers(2**31, size=len(envs))
    observations = [env.reset(seed=int(seed))[0] for env, seed in zip(envs, seeds, strict=True)]
    solved: dict[str, list[bool]] = defaultdict(list)
    while envs:
        actions, _ = agent.act(active_features(np.stack(observations)), rng)
        going = []
        observations = []
        for env, action in zip(envs, actions, strict=True):
            observation, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                solved[env.config.label].append(terminated)
            else:
                going.append(env)
                observations.append(observation)
        envs = going
    return {label: sum(outcomes) / len(outcomes) for label, outcomes in sorted(solved.items())}

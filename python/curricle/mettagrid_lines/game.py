"""The game that all tasks share, in MettaGrid's own configuration, and the room of each task."""

from functools import cache, lru_cache
from typing import Any

from mettagrid.config.action_config import (
    ActionsConfig,
    ChangeVibeActionConfig,
    MoveActionConfig,
    NoopActionConfig,
)
from mettagrid.config.filter import actorHas
from mettagrid.config.handler_config import Handler
from mettagrid.config.mettagrid_c_config import convert_to_cpp_game_config
from mettagrid.config.mettagrid_config import (
    AgentConfig,
    GameConfig,
    GridObjectConfig,
    InventoryConfig,
    MettaGridConfig,
    ResourceLimitsConfig,
    WallConfig,
)
from mettagrid.config.mutation import (
    ClearInventoryMutation,
    EntityTarget,
    logStatToGame,
    updateActor,
)
from mettagrid.config.obs_config import GlobalObsConfig, ObsConfig
from mettagrid.config.reward_config import inventoryReward
from mettagrid.map_builder.ascii import AsciiMapBuilder

from curricle.assembly_lines import AssemblyLinesConfig
from curricle.assembly_lines.config import (
    HEART,
    ITEMS,
    MAX_CHAIN_LENGTH,
    NOTHING,
    ORE,
    UNOBTAINIUM,
)
from curricle.assembly_lines.layout import ASSEMBLER, EXTRACTOR, SINK, build_layout

#: Cells along each side of the square that holds what the agent sees, a disc around it; MettaGrid
#: packs a cell of it into one byte, so that there is no larger one.
OBSERVATION_WIDTH = 15
#: Tokens of an observation: room for every wall and machine of a full disc, and the agent.
NUM_TOKENS = 192

#: Kind, accepted and yielded item of every machine that a task may have.
MACHINES = (
    (EXTRACTOR, NOTHING, ORE),
    *((ASSEMBLER, item, item + 1) for item in range(ORE, MAX_CHAIN_LENGTH)),
    *((ASSEMBLER, item, HEART) for item in range(ORE, MAX_CHAIN_LENGTH + 1)),
    (ASSEMBLER, UNOBTAINIUM, HEART),
    (SINK, NOTHING, NOTHING),
)

_WALL = "wall"
_FREE = "empty"
_AGENT = "agent.agent"
_HAND = "hand"
_HEARTS = "hearts_made"


def machine_name(kind: int, accepts: int, yields: int) -> str:
    """What MettaGrid calls a machine."""
    if kind == EXTRACTOR:
        return "extractor"
    if kind == SINK:
        return "sink"
    return f"{ITEMS[accepts]}_to_{ITEMS[yields]}"


def _use(kind: int, accepts: int, yields: int) -> Handler:
    """What happens to an agent that moves into a machine."""
    if kind == EXTRACTOR:
        # A full hand takes nothing more.
        return Handler(mutations=[updateActor({ITEMS[yields]: 1})])
    if kind == SINK:
        return Handler(
            mutations=[ClearInventoryMutation(target=EntityTarget.ACTOR, limit_name=_HAND)]
        )
    mutations: list[Any] = [updateActor({ITEMS[accepts]: -1, ITEMS[yields]: 1})]
    if yields == HEART:
        mutations.append(logStatToGame(_HEARTS))
    return Handler(filters=[actorHas({ITEMS[accepts]: 1})], mutations=mutations)


@cache
def shared_game() -> GameConfig:
    """The game without a room: one set of objects and resources, so that one policy plays it all.

    Unobtainium is a resource although nothing yields it: MettaGrid drops a filter on a resource
    that it does not know, and the assembler would give hearts away.
    """
    objects = {
        machine_name(*machine): GridObjectConfig(
            name=machine_name(*machine), on_use_handler=_use(*machine)
        )
        for machine in MACHINES
    }
    resources = list(ITEMS[ORE:])
    hand = ResourceLimitsConfig(base=1, max=1, resources=resources)
    heart = ITEMS[HEART]
    return GameConfig(
        resource_names=resources,
        num_agents=1,
        episode_truncates=True,
        end_episode_on_game_stats={_HEARTS: 1.0},
        obs=ObsConfig(
            width=OBSERVATION_WIDTH,
            height=OBSERVATION_WIDTH,
            num_tokens=NUM_TOKENS,
            global_obs=GlobalObsConfig(
                episode_completion_pct=False, last_action=False, last_reward=False
            ),
        ),
        agent=AgentConfig(
            inventory=InventoryConfig(limits={_HAND: hand}),
            rewards={heart: inventoryReward(heart)},
        ),
        actions=ActionsConfig(
            # The engine counts this action even where it is disabled; the configuration does not.
            noop=NoopActionConfig(),
            move=MoveActionConfig(),
            change_vibe=ChangeVibeActionConfig(enabled=False),
        ),
        objects={_WALL: WallConfig(), **objects},
        protocol_details_obs=False,
    )


@lru_cache(maxsize=256)
def compiled_game(max_steps: int) -> Any:
    """The engine's form of the game, for episodes of at most ``max_steps`` steps.

    Tasks differ in their rooms and step limits only, and the conversion takes longer than all the
    rest of a reset.
    """
    game = shared_game().model_copy(update={"max_steps": max_steps})
    return convert_to_cpp_game_config(game)[0]


def room_map(task: AssemblyLinesConfig, start: int | None = None) -> list[list[str]]:
    """The names of what stands on each cell of the room and of the wall around it, by row.

    Args:
        task: whose room it is.
        start: cell (``row * width + column``) of the agent; ``None`` puts one on every free cell.
    """
    layout = build_layout(task)
    width = layout.width
    cells = [_FREE] * (width * width)
    for wall in layout.walls:
        cells[wall] = _WALL
    for machine in layout.machines:
        name = machine_name(machine.kind, machine.accepts, machine.yields)
        cells[machine.row * width + machine.column] = name
    for cell in layout.starts if start is None else (start,):
        cells[cell] = _AGENT
    border = [_WALL] * (width + 2)
    rows = (cells[at : at + width] for at in range(0, len(cells), width))
    return [border, *([_WALL, *row, _WALL] for row in rows), border]


def mettagrid_config(task: AssemblyLinesConfig) -> MettaGridConfig:
    """The task as a configuration for anything that runs MettaGrid.

    Its label is the task's. The agent starts on a random free cell; the episode ends with the
    first heart.

    Raises:
        ValueError: the task asks for what this engine does not know, see `require_playable`.
    """
    require_playable(task)
    letters = {name: chr(ord("a") + index) for index, name in enumerate(shared_game().objects)}
    letters |= {_WALL: "#", _FREE: ".", _AGENT: "@"}
    builder = AsciiMapBuilder.Config(
        map_data=[[letters[name] for name in row] for row in room_map(task)],
        char_to_map_name={letter: name for name, letter in letters.items()},
    )
    changes = {"max_steps": task.step_limit, "map_builder": builder}
    return MettaGridConfig(label=task.label, game=shared_game().model_copy(update=changes))


def require_playable(task: AssemblyLinesConfig) -> None:
    """Refuses a task that MettaGrid cannot play.

    Raises:
        ValueError: it has two agents; it has positions other than one "any", as MettaGrid's
            objects are used from every side; or it is noisy, as MettaGrid tosses no coin.
    """
    if task.num_agents != 1:
        raise ValueError(
            f"one agent plays in MettaGrid: num_agents must be 1, not {task.num_agents}; play "
            "this task with AssemblyLinesParallelEnv"
        )
    if task.positions != ("any",):
        raise ValueError(
            f"MettaGrid's objects are used from every side: positions must be ('any',), not "
            f"{task.positions!r}; play this task with AssemblyLinesEnv"
        )
    if task.noisy:
        raise ValueError(
            "MettaGrid tosses no coin for a reward: noisy must be False, not True; play this task "
            "with AssemblyLinesEnv"
        )

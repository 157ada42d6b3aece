"""One file from which a run goes on: agent, curriculum, random state and curve."""

import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from curricle.curriculum import Curriculum
from curricle.errors import CheckpointError
from curricle.training.agent import LinearActorCritic
from curricle.training.curve import CurvePoint

FILE_NAME = "checkpoint.npz"


@dataclass(slots=True)
class Progress:
    """How far a run is.

    Attributes:
        episodes: completed episodes.
        env_steps: environment steps.
        seconds: time spent training.
        curve: points so far.
    """

    episodes: int = 0
    env_steps: int = 0
    seconds: float = 0.0
    curve: list[CurvePoint] = field(default_factory=list)


def save_checkpoint(
    folder: Path,
    agent: LinearActorCritic,
    curriculum: Curriculum,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    """Writes ``checkpoint.npz``; until it is whole, the previous one stays."""
    with TemporaryDirectory(dir=folder, prefix=".checkpoint-") as scratch:
        session = Path(scratch, "session")
        curriculum.save(str(session))
        state = json.dumps({"rng": rng.bit_generator.state, "progress": asdict(progress)})
        new = Path(scratch, FILE_NAME)
        with new.open("wb") as file:
            np.savez_compressed(
                file,
                allow_pickle=False,
                session=np.frombuffer(session.read_bytes(), np.uint8),
                state=np.frombuffer(state.encode(), np.uint8),
                **{f"agent_{name}": array for name, array in agent.state().items()},
            )
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / FILE_NAME)


def load_checkpoint(
    folder: Path, agent: LinearActorCritic, curriculum: Curriculum, rng: np.random.Generator
) -> Progress:
    """Puts agent, curriculum and ``rng`` into the state of the checkpoint.

    Raises:
        CheckpointError: there is no checkpoint in the folder, or it is damaged.
    """
    path = folder / FILE_NAME
    try:
        with np.load(path, allow_pickle=False) as arrays:
            content: dict[str, Any] = dict(arrays)
        state = json.loads(content["state"].tobytes())
        curve = [CurvePoint(**point) for point in state["progress"].pop("curve")]
        progress = Progress(**state["progress"], curve=curve)
        agent.load_state(
            {name.removeprefix("agent_"): content[name] for name in content if "agent_" in name}
        )
        rng.bit_generator.state = state["rng"]
        session = content["session"].tobytes()
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"cannot go on from {path}: {error}") from error
    with TemporaryDirectory(dir=folder, prefix=".checkpoint-") as scratch:
        saved = Path(scratch, "session")
        saved.write_bytes(session)
        curriculum.load(str(saved))
    return progress

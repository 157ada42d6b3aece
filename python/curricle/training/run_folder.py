"""The folder of a run: where it is made, and how its settings are kept."""

from datetime import datetime
from pathlib import Path

from curricle.errors import CheckpointError
from curricle.training.settings import TrainSettings

_SETTINGS = "settings.json"


def create_folder(out: Path | None, settings: TrainSettings) -> Path:
    """Makes the folder of a new run and writes its settings there.

    Args:
        out: the folder; ``None`` makes one below ``runs`` that names curriculum and time.
        settings: of the run.

    Raises:
        FileExistsError: the folder holds something already.
    """
    if out is None:
        now = datetime.now().strftime("%Y%m%d-%H%M%S")
        out = Path("runs", f"{settings.engine}-{settings.curriculum}-{now}")
    require_empty(out, f"go on with --resume {out}, or take another --out")
    write_settings(out, settings)
    return out


def require_empty(folder: Path, way_out: str) -> None:
    """Makes a folder, unless it is there already and empty.

    Raises:
        FileExistsError: it holds something; the message ends with the way out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"the folder {folder} is not empty; {way_out}")


def write_settings(folder: Path, settings: TrainSettings) -> None:
    """Writes the settings of a run to its folder."""
    (folder / _SETTINGS).write_text(settings.model_dump_json(indent=2) + "\n")


def read_settings(folder: Path) -> TrainSettings:
    """The settings of the run in a folder.

    Raises:
        CheckpointError: there is no run in the folder, or its settings are damaged.
    """
    path = folder / _SETTINGS
    try:
        return TrainSettings.model_validate_json(path.read_text())
    except (OSError, ValueError) as error:
        raise CheckpointError(f"cannot go on from {folder}: {error}") from error

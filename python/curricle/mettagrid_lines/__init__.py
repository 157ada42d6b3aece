"""The assembly lines played by the MettaGrid engine: ``pip install 'curricle[mettagrid]'``."""

try:
    import mettagrid  # noqa: F401 - the modules below need it; asked for here with the way out
except ModuleNotFoundError as error:
    if error.name != "mettagrid":
        raise
    raise ModuleNotFoundError(
        "mettagrid is missing; install it with: pip install 'curricle[mettagrid]' "
        "(Python 3.11 or 3.12, Linux with glibc 2.34 or newer)",
        name=error.name,
    ) from error

from curricle.mettagrid_lines.env import MettaGridLinesEnv
from curricle.mettagrid_lines.game import mettagrid_config
from curricle.mettagrid_lines.generator import MettaGridTaskGenerator
from curricle.mettagrid_lines.view import AssemblyLinesView

__all__ = [
    "AssemblyLinesView",
    "MettaGridLinesEnv",
    "MettaGridTaskGenerator",
    "mettagrid_config",
]

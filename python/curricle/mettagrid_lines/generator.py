"""Assembly-line tasks by id, as MettaGrid's own configurations."""

from mettagrid.config.mettagrid_config import MettaGridConfig

from curricle.assembly_lines import AssemblyLinesTaskGenerator
from curricle.generators.base import TaskGenerator
from curricle.mettagrid_lines.game import mettagrid_config
from curricle.tasks import CurriculumTask


class MettaGridTaskGenerator(TaskGenerator):
    """Makes the ``MettaGridConfig`` of a task, for an environment with ``set_mg_config``.

    The tasks are those of an `AssemblyLinesTaskGenerator`, with their labels and slice values.

    Args:
        choices: what there is to choose from; a configuration is one room, so that tasks cannot
            be in fresh ones.

    Raises:
        ValueError: ``choices.fresh_rooms``.

    Example:
        >>> MettaGridTaskGenerator().get_task(5).label
        'medium_3chain_1sinks'
    """

    def __init__(self, choices: AssemblyLinesTaskGenerator.Config | None = None) -> None:
        if choices is not None and choices.fresh_rooms:
            raise ValueError(
                "fresh_rooms=True: a MettaGridConfig has one room; play such tasks in "
                "MettaGridLinesEnv"
            )
        self._lines = AssemblyLinesTaskGenerator(choices)
        super().__init__(self._lines.config)

    def get_task(self, task_id: int) -> MettaGridConfig:
        """The configuration of an id."""
        return mettagrid_config(self._lines.get_task(task_id))

    def task(self, task_id: int) -> CurriculumTask:
        """The task of an id, with the values that were chosen for it."""
        slice_values = self._lines.task(task_id).slice_values
        return CurriculumTask(task_id, self.get_task(task_id), slice_values, label=self.label)

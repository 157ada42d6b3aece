"""A task: an id and the environment configuration that belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curricle._core import Ticket


class CurriculumTask:
    """One task of a curriculum.

    Args:
        task_id: any 64-bit signed integer; the key of the task in every process.
        env_cfg: what the environment is configured by. A task that is drawn again may get the
            same object again, so treat it as read-only.
        slice_values: the values by which a generator varied the configuration, by path.
        label: a label that goes before one that the configuration carries.

    Attributes:
        ticket: what a draw hands out and a report needs; ``None`` for a task that was not drawn.

    Example:
        >>> task = CurriculumTask(7, {"size": 3, "label": "small"})
        >>> task.get_label()
        'small'
    """

    __slots__ = ("_label", "env_cfg", "slice_values", "task_id", "ticket")

    def __init__(
        self,
        task_id: int,
        env_cfg: Any,
        slice_values: dict[str, Any] | None = None,
        *,
        label: str | None = None,
    ) -> None:
        self.task_id = task_id
        self.env_cfg = env_cfg
        self.slice_values: dict[str, Any] = {} if slice_values is None else slice_values
        self._label = label
        self.ticket: Ticket | None = None

    def with_ticket(self, ticket: Ticket | None) -> CurriculumTask:
        """The same task, as one draw hands it out."""
        # Every draw makes one: by way of the constructor it takes twice as long.
        task = object.__new__(CurriculumTask)
        task.task_id = self.task_id
        task.env_cfg = self.env_cfg
        task.slice_values = self.slice_values
        task._label = self._label
        task.ticket = ticket
        return task

    def get_env_cfg(self) -> Any:
        """The environment configuration."""
        return self.env_cfg

    def get_slice_values(self) -> dict[str, Any]:
        """The values by which a generator varied the configuration, by path."""
        return self.slice_values

    def get_bucket_values(self) -> dict[str, Any]:
        """The same as `get_slice_values`."""
        return self.slice_values

    def get_label(self) -> str | None:
        """The task's label: its own, else the configuration's ``label``, else ``None``.

        Raises:
            TypeError: the configuration's ``label`` is neither a string nor ``None``.
        """
        label = self._label_given()
        if label is None or isinstance(label, str):
            return label
        raise TypeError(
            f"task {self.task_id}: label={label!r} in its configuration is a "
            f"{type(label).__name__}; make it a string or None, or give it another name"
        )

    def _label_given(self) -> Any:
        if self._label is not None:
            return self._label
        # A dict by its type: to ask an abstract class takes longer than the rest of this.
        if isinstance(self.env_cfg, (dict, Mapping)):
            return self.env_cfg.get("label")
        label = getattr(self.env_cfg, "label", None)
        # A method of that name is no value of the configuration.
        return None if callable(label) else label

    def __repr__(self) -> str:
        return f"CurriculumTask({self.task_id}, {self.env_cfg!r}, label={self._label_given()!r})"

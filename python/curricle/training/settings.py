"""What a training run is asked to do."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ProgressName = Literal["learning-progress", "noise-aware"]
CurriculumName = Literal[ProgressName, "uniform"]
TaskSet = Literal["default", "long-chains", "published"]
Backend = Literal["shared", "local"]
EngineName = Literal["assembly-lines", "mettagrid-assembly-lines"]


class AgentSettings(BaseModel):
    """What the agent learns with.

    Attributes:
        learning_rate: step of Adam, > 0.
        discount: factor a step on future reward, in (0, 1].
        trace: lambda of generalised advantage estimation, in [0, 1].
        entropy_weight: weight of the entropy of the policy, >= 0.
        value_weight: weight of the squared error of the value, >= 0.
        samples_per_update: environment steps, over all processes, between two updates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: float = Field(default=0.005, gt=0.0)
    discount: float = Field(default=0.97, gt=0.0, le=1.0)
    trace: float = Field(default=0.95, ge=0.0, le=1.0)
    entropy_weight: float = Field(default=0.01, ge=0.0)
    value_weight: float = Field(default=0.25, ge=0.0)
    samples_per_update: int = Field(default=256, ge=1)


class TrainSettings(BaseModel):
    """A run of the training job.

    Attributes:
        engine: who plays the tasks, by the name of its command.
        curriculum: how tasks are drawn: by the distance of two EMAs of the score, by the evidence
            that scores rise whatever their noise, or all alike.
        tasks: "default" (one agent, chains of 1 to 4, rooms of 5x5 to 9x9 cells), "long-chains"
            (one agent, chains of 3 and 4, rooms of 7x7 and 9x9 cells: none is learned at once) or
            "published" (chains of 2 to 4; one or two agents in rooms of 7x7 and 9x9 cells, in
            MettaGrid one agent in rooms of 12x12 and 18x18 cells).
        backend: "shared" (worker processes share the session) or "local" (no shared memory, and
            four environments in the learner's process).
        processes: worker processes, one environment each, 1 to 256; 1 with ``backend="local"``.
        episodes: episodes in all, over all processes.
        env_steps: environment steps in all, over all processes, after which the run ends in place
            of ``episodes``; ``None``: it ends by episodes.
        impossible_ratio: share of tasks that nobody can solve, in [0, 1].
        noisy_ratio: share of tasks whose reward is a coin's, in [0, 1]; 0 in MettaGrid.
        fresh_rooms: each episode is in another room, in place of one room for each task.
        seed: of the curriculum, the environments and the agent.
        pool_size: tasks that draws choose from at any time.
        agent: what the agent learns with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: EngineName = "assembly-lines"
    curriculum: CurriculumName = "learning-progress"
    tasks: TaskSet = "default"
    backend: Backend = "shared"
    processes: int = Field(default=4, ge=1, le=256)
    episodes: int = Field(default=8_000, ge=1)
    env_steps: int | None = Field(default=None, ge=1)
    impossible_ratio: float = Field(default=0.1, ge=0.0, le=1.0)
    noisy_ratio: float = Field(default=0.0, ge=0.0, le=1.0)
    fresh_rooms: bool = False
    seed: int = Field(default=0, ge=0, lt=2**31)
    pool_size: int = Field(default=160, ge=1)
    agent: AgentSettings = AgentSettings()

    @model_validator(mode="after")
    def _local_is_one_process(self) -> Self:
        if self.backend == "local" and self.processes != 1:
            raise ValueError(
                f"processes={self.processes} and backend='local', which no other process can "
                "share: take processes=1, or backend='shared'"
            )
        return self

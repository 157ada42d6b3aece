"""All figures of a page of results, as they are kept between measuring and writing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from benches.call_costs import CallFigures
from benches.core_costs import CoreCost
from benches.peers.calls import CallCost
from benches.peers.throughput import Throughput
from benches.trainers.pairs import TrainerCosts
from benches.training_loop import LoopSpeed
from benches.two_processes import TwoProcesses


@dataclass
class Measured:
    """What was measured; what was not is empty.

    Attributes:
        machine: lines about the machine and its versions.
        missing: peers that could not be imported, and why.
        when: for each part when it was measured and how busy the machine was.
        commits: for each part the code that was measured; a file of before it was kept has none.
        failed: for each part or peer that could not be measured, why.
        calls: of Curricle's calls from Python.
        peers: calls beside those of others, in one process.
        workers: episodes of worker processes, beside those of others.
        processes: updates of two processes.
        training: steps of a training loop.
        trainers: steps of trainers that people use.
        core: calls of the core alone.
        quick: whether it was measured only to see that the benches run.
    """

    # A JSON file with anything else is not one of these.
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    machine: list[str]
    missing: dict[str, str] = field(default_factory=dict)
    when: dict[str, str] = field(default_factory=dict)
    commits: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    calls: list[CallFigures] = field(default_factory=list)
    peers: list[CallCost] = field(default_factory=list)
    workers: list[Throughput] = field(default_factory=list)
    processes: TwoProcesses | None = None
    training: list[LoopSpeed] = field(default_factory=list)
    trainers: TrainerCosts | None = None
    core: list[CoreCost] = field(default_factory=list)
    quick: bool = False

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        path.write_bytes(_ADAPTER.dump_json(self, indent=1))

    @classmethod
    def load(cls, path: Path) -> Measured:
        """Reads what `save` wrote; ValidationError for anything else."""
        return _ADAPTER.validate_json(path.read_bytes())


_ADAPTER = TypeAdapter(Measured)

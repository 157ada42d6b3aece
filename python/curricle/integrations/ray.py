"""Ray: what the machines of a job tell each other, through one named actor."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import Any, NamedTuple

from curricle import checks
from curricle.extras import need_extra

need_extra("curricle.integrations.ray", "ray", "ray")

import ray  # noqa: E402  after the check
from ray.exceptions import GetTimeoutError, ObjectLostError, RayActorError  # noqa: E402

# More calls than this do not wait in the actor at once; each rank has one.
_MAX_RANKS = 65_536
# Seconds in which the actor says who is missing, or is found again.
_GRACE = 10.0
_PAUSE = 0.05


class RayExchange:
    """Gives the bytes of each rank to all ranks: an all-gather for `Curriculum.exchange`.

    One process of each machine has one, with a rank of its own, and all call it equally often.
    They meet in an actor that the first of them starts; it takes no CPU and ends with the process
    that started it, in whose place the next caller starts another. Whatever becomes of the actor,
    calls go on: they send the same payload for the same round again.

    A round ends for all ranks or for none. Where a rank stays away, the others' calls end in an
    error that names it, and so do all calls of its generation from then on. Those that are left
    (and those that replace the others) go on with new objects of a higher ``generation``.

    Args:
        name: of the exchange, the same for all ranks. Ray keeps names apart by namespace, and a
            job that asks for no namespace has one of its own.
        rank: of this process, in [0, ``world_size``).
        world_size: number of ranks, in [1, 65536].
        generation: of the world, >= 0; it ends all those before it.
        timeout: seconds that a call waits for the other ranks, > 0.

    Raises:
        ModuleNotFoundError: on import of the module, if ray is missing.
        TypeError: an argument of another type.
        ValueError: a number out of its range.

    Example:
        >>> exchange = RayExchange("run-7", rank, world_size)  # doctest: +SKIP
        >>> curriculum.exchange(exchange)  # doctest: +SKIP
    """

    def __init__(
        self,
        name: str,
        rank: int,
        world_size: int,
        *,
        generation: int = 0,
        timeout: float = 600.0,
    ) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name is {name!r}; it must be a string")
        world_size = checks.integer(world_size, "world_size", 1, _MAX_RANKS)
        rank = checks.integer(rank, "rank", 0, world_size - 1)
        generation = checks.integer(generation, "generation", 0, checks.MAX_ID)
        self._timeout = checks.real(timeout, "timeout")
        if self._timeout <= 0:
            raise ValueError(f"timeout={timeout}: must be above 0 seconds")
        self._name = name
        self._caller = _Caller(generation, world_size, rank, uuid.uuid4().hex)
        self._round = 0
        self._waits = False
        self._last: list[bytes] | None = None
        self._actor: Any = None
        self._life: str | None = None

    def __call__(self, payload: bytes) -> list[bytes]:
        """Hands in a payload and waits for those of all ranks.

        Returns:
            The payloads of this round, by rank.

        Raises:
            TimeoutError: ranks that did not come; the message names them.
            RuntimeError: another generation has begun, two processes have the same rank, or a call
                of this object failed before.
        """
        if self._waits:
            # The others may have had that payload, so that another one would be lost.
            raise RuntimeError(
                f"round {self._round} of the exchange {self._name!r} failed; go on with another "
                f"object, of a generation above {self._caller.generation}"
            )
        self._waits = True
        end = time.monotonic() + self._timeout
        while True:
            try:
                payloads = self._attempt(payload, end)
            except (RayActorError, ObjectLostError) as error:
                # The actor ended for good, as the process that started it did, or after it had
                # answered.
                self._actor = None
                if time.monotonic() > end:
                    raise TimeoutError(self._unreachable()) from error
                time.sleep(_PAUSE)
                continue
            if payloads is not None:
                self._round += 1
                self._waits = False
                self._last = payloads
                return payloads

    def _attempt(self, payload: bytes, end: float) -> list[bytes] | None:
        """The payloads, or ``None`` where another life of the actor has to be told the last."""
        if self._actor is None:
            self._actor = _meeting(self._name)
        waiting = self._actor.gather.remote(self._caller, self._life, self._round, payload)
        try:
            answer = ray.get(waiting, timeout=max(0.0, end - time.monotonic()))
        except GetTimeoutError:
            answer = self._give_up()
        if answer.error is not None:
            raise answer.error
        if answer.payloads is None:
            self._life = answer.life
            if self._last is not None:
                # A rank whose answer was lost waits for it, and this one will not come back to it.
                self._actor.restore.remote(self._caller, self._round - 1, self._last)
            return None
        payloads: list[bytes] = ray.get(answer.payloads)
        return payloads

    def _give_up(self) -> _Answer:
        try:
            answer: _Answer = ray.get(
                self._actor.give_up.remote(self._caller, self._round, self._timeout),
                timeout=_GRACE,
            )
        except GetTimeoutError as error:
            raise TimeoutError(self._unreachable()) from error
        return answer

    def _unreachable(self) -> str:
        return (
            f"round {self._round} of the exchange {self._name!r}: no answer from its actor in "
            f"{self._timeout:g} s; is the Ray cluster up?"
        )


class _Caller(NamedTuple):
    """Who calls: a process, and as which rank of which world."""

    generation: int
    world_size: int
    rank: int
    process: str


class _Answer(NamedTuple):
    """An error, or a reference to the payloads, or the life of an actor that the caller met not."""

    error: Exception | None = None
    payloads: Any = None
    life: str | None = None


class _Round:
    """What the ranks have handed in for one round, and whether all have."""

    def __init__(self) -> None:
        self.handed_in: dict[int, bytes] = {}
        self.payloads: Any = None
        self.over = asyncio.Event()

    def end(self, payloads: list[bytes]) -> None:
        # One object, however many ranks fetch it.
        self.payloads = ray.put(payloads)
        self.handed_in.clear()
        self.over.set()


class _Meeting:
    """The actor: collects each round's payloads and hands all to all.

    It knows one generation, and of this only the rounds that some rank may still ask for.
    """

    def __init__(self) -> None:
        # Restarted by Ray, it has forgotten everything; callers see that by this.
        self._life = uuid.uuid4().hex
        self._generation = -1
        self._world_size = 0
        self._processes: dict[int, str] = {}
        self._rounds: dict[int, _Round] = {}
        self._error: Exception | None = None

    async def gather(
        self, caller: _Caller, life: str | None, number: int, payload: bytes
    ) -> _Answer:
        """Takes a payload, as often as it is sent, and answers when all ranks' are there."""
        error = self._admit(caller)
        if error is not None:
            return _Answer(error)
        if life != self._life:
            return _Answer(life=self._life)
        this = self._rounds.setdefault(number, _Round())
        if not this.over.is_set():
            this.handed_in[caller.rank] = payload
            if len(this.handed_in) == caller.world_size:
                this.end([this.handed_in[rank] for rank in range(caller.world_size)])
                # All have handed in here, so all have the rounds before.
                for past in [n for n in self._rounds if n < number]:
                    del self._rounds[past]
        await this.over.wait()
        if this.payloads is None:
            return _Answer(self._outcome(caller))
        # Inside a tuple a reference stays one: the caller fetches it.
        return _Answer(payloads=this.payloads)

    async def restore(self, caller: _Caller, number: int, payloads: list[bytes]) -> None:
        """Takes the outcome of a round that ended in a former life of this actor."""
        if self._admit(caller) is None:
            this = self._rounds.setdefault(number, _Round())
            if not this.over.is_set():
                this.end(payloads)

    async def give_up(self, caller: _Caller, number: int, timeout: float) -> _Answer:
        """Ends the generation, unless the round has ended meanwhile."""
        error = self._admit(caller)
        if error is not None:
            return _Answer(error)
        this = self._rounds.setdefault(number, _Round())
        if this.over.is_set():
            return _Answer(payloads=this.payloads)
        missing = [rank for rank in range(caller.world_size) if rank not in this.handed_in]
        self._fail(
            TimeoutError(
                f"round {number} of generation {caller.generation}: after {timeout:g} s "
                f"{len(missing)} of {caller.world_size} ranks are missing: {_listed(missing)}; "
                "go on with those that are left, or with others in their place, in a higher "
                "generation"
            )
        )
        return _Answer(self._error)

    def _admit(self, caller: _Caller) -> Exception | None:
        """Why a caller has no place in the generation; a newer generation begins here."""
        if caller.generation > self._generation:
            self._fail(None)
            self._generation = caller.generation
            self._world_size = caller.world_size
            self._processes = {}
            self._error = None
        if caller.generation < self._generation or self._error is not None:
            return self._outcome(caller)
        if caller.world_size != self._world_size:
            return RuntimeError(
                f"rank {caller.rank} says world_size={caller.world_size}, others of generation "
                f"{caller.generation} say {self._world_size}: a world of another size is another "
                "generation"
            )
        if self._processes.setdefault(caller.rank, caller.process) != caller.process:
            return RuntimeError(
                f"two processes are rank {caller.rank} of generation {caller.generation}: a "
                "process that replaces another begins a higher generation, and two jobs need two "
                "names or namespaces"
            )
        return None

    def _outcome(self, caller: _Caller) -> Exception:
        """Why a caller's generation has ended."""
        if caller.generation == self._generation and self._error is not None:
            return self._error
        return RuntimeError(
            f"generation {caller.generation} has ended: generation {self._generation} of "
            f"{self._world_size} ranks has begun; take part in that one"
        )

    def _fail(self, error: Exception | None) -> None:
        self._error = error
        for this in self._rounds.values():
            this.over.set()
        self._rounds = {}


def _meeting(name: str) -> Any:
    """The actor of an exchange, which is started if there is none."""
    return (
        ray.remote(_Meeting)
        .options(
            name=f"curricle.exchange.{name}",
            get_if_exists=True,
            num_cpus=0,
            max_concurrency=_MAX_RANKS,
            max_restarts=-1,
            # A call that meets a restart is sent again, which is no harm.
            max_task_retries=-1,
        )
        .remote()
    )


def _listed(ranks: list[int]) -> str:
    shown = ", ".join(map(str, ranks[:16]))
    return shown if len(ranks) <= 16 else f"{shown}, ..."

"""The drop-in backends: slots as arrays, the lock, cleaning up."""

import multiprocessing
import os
import pickle
import secrets
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import compat_workers
from compat_processes import run
from curricle import LearningProgressConfig, list_sessions
from curricle import LocalMemoryBackend as CleanLocal
from curricle import SharedMemoryBackend as CleanShared
from curricle._core import TaskData
from curricle.compat import locks, memory_backend, shared_memory_backend
from curricle.compat.memory_backend import (
    LocalMemoryBackend,
    SharedMemoryBackend,
    TaskMemoryBackend,
    create_memory_backend,
)
from curricle.compat.slot_views import SLOT_FIELDS
from curricle.compat.task_tracker import TaskTracker
from curricle.errors import LockTimeoutError
from signatures import listed

AT = {name: position for position, name in enumerate(SLOT_FIELDS)}


@pytest.fixture(params=["local", "shared"])
def backend(request):
    made = LocalMemoryBackend(32) if request.param == "local" else SharedMemoryBackend(32)
    yield made
    made.cleanup()


@pytest.fixture
def tracker(backend):
    return TaskTracker(backend=backend)


@pytest.fixture
def two():
    name = f"test-{secrets.token_hex(8)}"
    backends = SharedMemoryBackend(16, name), SharedMemoryBackend(16, name)
    yield backends
    for backend in backends:
        backend.cleanup()


class TestNames:
    @pytest.mark.parametrize("of", [LocalMemoryBackend, CleanLocal])
    def test_local(self, of):
        assert listed(of) == [("max_tasks",), ("task_struct_size", None)]

    @pytest.mark.parametrize("of", [SharedMemoryBackend, CleanShared])
    def test_shared(self, of):
        assert listed(of) == [("max_tasks",), ("session_id", None), ("task_struct_size", None)]

    @pytest.mark.parametrize(
        ("name", "parameters"),
        [
            ("allocate", [("max_tasks",)]),
            ("read_task", [("task_id",)]),
            ("write_task", [("task_id",), ("data",)]),
            ("get_all_task_ids", []),
            ("clear", []),
        ],
    )
    def test_methods(self, name, parameters):
        assert listed(getattr(TaskMemoryBackend, name)) == parameters

    def test_methods_of_today(self):
        for of in (LocalMemoryBackend, SharedMemoryBackend):
            assert listed(of.get_task_data) == [("index",)]
            assert listed(of.acquire_lock) == listed(of.cleanup) == []
        assert listed(create_memory_backend) == [("config",)]

    def test_four_methods_are_abstract(self):
        assert TaskMemoryBackend.__abstractmethods__ == {
            "allocate",
            "read_task",
            "write_task",
            "get_all_task_ids",
        }

    def test_both_modules_have_the_same(self):
        for name in memory_backend.__all__:
            assert getattr(memory_backend, name) is getattr(shared_memory_backend, name)
        assert memory_backend.__all__ == shared_memory_backend.__all__

    def test_the_factory_goes_by_the_config(self):
        local = create_memory_backend(LearningProgressConfig(use_shared_memory=False))
        assert isinstance(local, LocalMemoryBackend)
        name = f"test-{secrets.token_hex(8)}"
        config = LearningProgressConfig(session_id=name, max_memory_tasks=5, num_active_tasks=5)
        shared = create_memory_backend(config)
        assert isinstance(shared, SharedMemoryBackend)
        assert (shared.session_id, shared.max_tasks) == (name, 5)
        assert shared.rules == config.rules()
        shared.cleanup()

    @pytest.mark.parametrize("shared", [False, True])
    def test_anything_with_the_fields_is_a_config(self, shared):
        name = f"a-test-{secrets.token_hex(8)}" if shared else None
        config = SimpleNamespace(use_shared_memory=shared, max_memory_tasks=5, session_id=name)
        made = create_memory_backend(config)
        assert (made.max_tasks, made.name) == (5, name)
        made.cleanup()

    @pytest.mark.parametrize("of", [LocalMemoryBackend, SharedMemoryBackend])
    def test_a_size_of_records_means_nothing(self, of):
        with pytest.warns(DeprecationWarning, match="task_struct_size"):
            made = of(10, task_struct_size=12)
        assert made.task_struct_size == made.get_task_data(0).size == len(SLOT_FIELDS)
        made.cleanup()


class TestRecords:
    def test_write_and_read(self, backend):
        assert backend.read_task(3) is None
        backend.write_task(3, TaskData(3, completion_count=2, total_score=1.0))
        assert backend.read_task(3).mean_score == 0.5
        assert backend.get_all_task_ids() == [3]
        assert backend.max_tasks == 32
        backend.clear()
        assert backend.get_all_task_ids() == []
        assert backend.read_task(3) is None


class TestSlots:
    def test_an_array_of_float64(self, backend, tracker):
        tracker.track_task_creation(7, success_threshold=0.8, seed=5, generator_type=2.0)
        slot = backend.get_task_data(0)
        assert isinstance(slot, np.ndarray)
        assert (slot.shape, slot.dtype) == ((backend.task_struct_size,), np.float64)
        named = dict(zip(SLOT_FIELDS, slot, strict=True))
        assert (named["task_id"], named["is_active"], named["seed"]) == (7, 1, 5)
        assert (named["success_threshold"], named["generator_type"]) == (0.8, 2)
        assert slot[AT["creation_time"]] == backend.read_task(7).creation_time

    def test_it_follows_the_record(self, backend, tracker):
        tracker.track_task_creation(7)
        slot = backend.get_task_data(0)
        for n in (1, 2, 3):
            tracker.update_task_performance(7, 0.5)
            assert slot[AT["completion_count"]] == n
            assert slot.tolist()[AT["total_score"]] == 0.5 * n
            assert slot.copy()[AT["last_score"]] == 0.5
            assert slot[:3].tolist() == [7, slot[1], n]
            assert (slot == n)[AT["completion_count"]]
            assert np.add(slot, 1)[AT["completion_count"]] == n + 1

    @pytest.mark.parametrize(
        "name",
        [name for name in SLOT_FIELDS if name not in ("task_id", "is_active", "label_hash")],
    )
    def test_an_element_is_written(self, backend, tracker, name):
        tracker.update_task_performance(7, 0.25)
        before = tracker.backend.read_task(7).as_dict()
        backend.get_task_data(0)[AT[name]] = 1.0
        after = backend.read_task(7).as_dict()
        changed = {key for key in before if before[key] != after[key]} - {"weight", "generation"}
        assert changed <= {name}
        assert after[name] == 1.0
        tracker.verify()

    def test_ways_to_write(self, backend, tracker):
        tracker.update_task_performance(7, 0.25)
        slot = backend.get_task_data(0)
        slot[AT["lp_score"]] += 0.5
        slot[AT["p_fast"] : AT["p_true"] + 1] = [0.1, 0.2, 0.3]
        slot[[AT["reward_ema"], AT["ema_squared"]]] = 0.75
        stats = tracker.get_task_stats(7)
        assert stats["lp_score"] == 0.5
        assert (stats["p_fast"], stats["p_slow"], stats["p_true"]) == (0.1, 0.2, 0.3)
        assert (stats["reward_ema"], stats["ema_squared"]) == (0.75, 0.75)
        slot *= np.where(np.arange(len(slot)) == AT["reward_ema"], 0.5, 1.0)
        assert tracker.get_task_stats(7)["reward_ema"] == 0.375

    def test_what_would_not_reach_the_record_fails(self, backend, tracker):
        tracker.track_task_creation(7)
        slot = backend.get_task_data(0)
        with pytest.raises(ValueError, match="read-only"):
            slot[2:4][0] = 1.0
        with pytest.raises(ValueError, match="read-only"):
            np.copyto(slot, 1.0)
        with pytest.raises(ValueError, match="read-only"):
            np.asarray(slot)[3] = 1.0
        own = slot.copy()
        own[3] = 9.0
        assert slot[3] == 0.0

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("completion_count", 0.5),
            ("completion_count", -1.0),
            ("reward_ema", float("nan")),
            ("success_rate_ema", 2.0),
            ("label_hash", 3.0),
            ("task_id", 0.5),
        ],
    )
    def test_a_number_that_cannot_be(self, backend, tracker, name, value):
        tracker.update_task_performance(7, 0.25)
        before = tracker.snapshot().tobytes()
        slot = backend.get_task_data(0)
        with pytest.raises(ValueError, match=r"number|range|whole|within"):
            slot[AT[name]] = value
        assert tracker.snapshot().tobytes() == before
        assert slot[AT["task_id"]] == 7

    def test_digits_beyond_float64_stay(self, backend, tracker):
        tracker.track_task_creation(2**60 + 1, seed=2**63 + 1)
        backend.get_task_data(0)[AT["reward_ema"]] = 0.5
        data = backend.read_task(2**60 + 1)
        assert (data.reward_ema, data.seed) == (0.5, 2**63 + 1)

    def test_a_free_slot(self, backend, tracker):
        slot = backend.get_task_data(0)
        assert slot.tolist() == [0.0] * len(SLOT_FIELDS)
        slot[AT["reward_ema"]] = 0.5
        assert backend.get_all_task_ids() == []
        slot[AT["task_id"]] = 42.0
        assert backend.get_all_task_ids() == [42]
        assert backend.read_task(42).reward_ema == 0.5
        assert (slot[AT["task_id"]], slot[AT["is_active"]]) == (42, 1)
        with pytest.raises(ValueError, match=r"slot 9.*lowest free slot, 1"):
            backend.get_task_data(9)[AT["task_id"]] = 43.0
        with pytest.raises(ValueError, match="slot 0"):
            backend.get_task_data(1)[AT["task_id"]] = 42.0

    def test_numbers_may_come_before_the_task(self, backend):
        slot = backend.max_tasks - 1
        backend.get_task_data(slot)[3] = 0.5
        assert backend.get_task_data(slot)[3] == 0.5
        assert backend.get_all_task_ids() == []
        backend.get_task_data(0)[3] = 0.25
        backend.get_task_data(0)[0] = 7
        assert backend.read_task(7).reward_ema == 0.25
        backend.remove(7)
        assert backend.get_task_data(0)[3] == 0.0

    def test_fill(self, backend, tracker):
        tracker.update_task_performance(7, 0.5)
        view = backend.get_task_data(0)
        view.fill(0.0)
        assert view.tolist() == [0.0] * 18
        assert backend.get_all_task_ids() == []

    def test_a_slot_is_given_up(self, backend, tracker):
        tracker.track_task_creation(7)
        tracker.track_task_creation(8)
        slot = backend.get_task_data(0)
        slot[AT["is_active"]] = 0.0
        assert backend.get_all_task_ids() == [8]
        assert slot.tolist() == [0.0] * len(SLOT_FIELDS)
        backend.get_task_data(1)[:] = 0.0
        assert backend.get_all_task_ids() == []

    def test_a_slot_changes_its_task(self, backend, tracker):
        for task_id in (7, 8, 9):
            tracker.update_task_performance(task_id, 0.25)
        slot = backend.get_task_data(1)
        slot[AT["task_id"]] = 80.0
        assert backend.get_all_task_ids() == [7, 80, 9]
        assert backend.read_task(80).reward_ema == 0.25
        tracker.remove_task(7)
        with pytest.raises(ValueError, match=r"slot 1.*lowest free slot, 0"):
            slot[AT["task_id"]] = 81.0
        assert backend.get_all_task_ids() == [80, 9]
        tracker.track_task_creation(7)
        tracker.remove_task(80)
        assert slot[AT["task_id"]] == 0.0
        tracker.update_task_performance(90, 0.5)
        assert (slot[AT["task_id"]], slot[AT["last_score"]]) == (90, 0.5)

    def test_the_label(self, backend, tracker):
        for task_id, label in enumerate(["maze", "arena", "maze", None]):
            tracker.track_task_creation(task_id)
            tracker.set_task_label(task_id, label)
        hashes = [backend.get_task_data(slot)[AT["label_hash"]] for slot in range(4)]
        assert hashes[0] == hashes[2] != hashes[1]
        assert hashes[3] == 0.0
        backend.get_task_data(0)[AT["label_hash"]] = 0.0
        assert tracker.get_task_label(0) is None

    @pytest.mark.parametrize("index", [-1, 32])
    def test_no_such_slot(self, backend, index):
        with pytest.raises(IndexError, match=rf"{index}.*31"):
            backend.get_task_data(index)

    def test_it_pickles_as_numbers(self, backend, tracker):
        tracker.track_task_creation(7)
        numbers = pickle.loads(pickle.dumps(backend.get_task_data(0)))
        assert type(numbers) is np.ndarray
        assert numbers[AT["task_id"]] == 7

    def test_two_backends_of_a_session_see_one_slot(self, two):
        first, second = (backend.get_task_data(0) for backend in two)
        first[0] = 42.0
        assert second[0] == 42.0
        second[AT["lp_score"]] = 0.5
        assert first[AT["lp_score"]] == 0.5


class TestLock:
    def test_it_nests(self, backend, tracker):
        tracker.track_task_creation(7)
        with backend.acquire_lock(), backend.acquire_lock():
            backend.get_task_data(0)[AT["lp_score"]] = 0.5
            tracker.update_task_performance(7, 0.25)
        assert tracker.get_task_stats(7)["lp_score"] == 0.5

    def test_two_backends_of_a_session_have_one_lock(self, two, monkeypatch):
        monkeypatch.setattr(locks, "TIMEOUT", 0.05)
        refused = []

        def take():
            try:
                with two[1].acquire_lock():
                    pass
            except LockTimeoutError as error:
                refused.append(error)

        with two[0].acquire_lock(), two[1].acquire_lock():
            thread = threading.Thread(target=take)
            thread.start()
            thread.join()
        assert len(refused) == 1
        take()
        assert len(refused) == 1

    def test_threads_lose_nothing(self, backend, tracker):
        tracker.track_task_creation(7)
        arguments = (backend, 0, AT["total_score"], 200)
        threads = [
            threading.Thread(target=compat_workers.add_to_slot, args=arguments) for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert backend.read_task(7).total_score == 800.0

    @pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
    def test_processes_lose_nothing(self, two, method):
        TaskTracker(backend=two[0]).track_task_creation(7)
        arguments = (two[0], 0, AT["total_score"], 200)
        run(method, compat_workers.add_to_slot, arguments, arguments)
        assert two[1].read_task(7).total_score == 400.0

    @pytest.mark.parametrize("within", [True, False], ids=["within", "after leaving"])
    def test_a_fork_within_the_block_does_not_inherit_it(self, two, monkeypatch, within):
        monkeypatch.setattr(locks, "TIMEOUT", 0.05)
        read, write = os.pipe()

        def take():
            try:
                with two[0].acquire_lock():
                    os.write(write, b"taken")
            except LockTimeoutError:
                os.write(write, b"refused")

        child = None
        try:
            with two[0].acquire_lock():
                child = os.fork()
                if child:
                    os.waitpid(child, 0)
                elif within:
                    take()
            if not child and not within:
                take()
        finally:
            if child == 0:
                os._exit(0)
        assert os.read(read, 10) == b"refused"
        os.close(read)
        os.close(write)
        with two[1].acquire_lock():
            pass

    def test_waiting_for_another_process_ends(self, two, monkeypatch):
        monkeypatch.setattr(locks, "TIMEOUT", 0.05)
        context = multiprocessing.get_context("fork")
        held, give_back = context.Event(), context.Event()
        arguments = (two[0], held, give_back)
        holder = context.Process(target=compat_workers.hold_until_told, args=arguments)
        holder.start()
        assert held.wait(60)
        two[1].create(1)
        files = len(os.listdir("/proc/self/fd"))
        for _ in range(2):
            with pytest.raises(LockTimeoutError, match="another process"), two[1].acquire_lock():
                pass
        assert len(os.listdir("/proc/self/fd")) == files
        give_back.set()
        holder.join()
        with two[1].acquire_lock():
            pass

    def test_a_child_of_a_killed_holder_does_not_keep_it(self, two):
        two[0].create(1)
        context = multiprocessing.get_context("fork")
        child_ends = context.Event()
        holder = context.Process(
            target=compat_workers.die_with_lock_and_leave_a_child,
            args=(two[0].session_id, 16, child_ends),
        )
        holder.start()
        holder.join()
        try:
            with two[0].acquire_lock():
                pass
        finally:
            child_ends.set()

    def test_a_child_that_is_forked_while_a_thread_waits_does_not_keep_it(self, two):
        context = multiprocessing.get_context("fork")
        held, give_back, end = context.Event(), context.Event(), context.Event()
        holder = context.Process(
            target=compat_workers.hold_until_told, args=(two[0], held, give_back)
        )
        holder.start()
        assert held.wait(60)
        lock = locks.lock_of(two[0])
        thread = threading.Thread(target=compat_workers.add_to_slot, args=(two[0], 0, 0, 1))
        thread.start()
        while lock._file is None:
            assert thread.is_alive()
        child = context.Process(target=compat_workers.wait_until_told, args=(end,))
        child.start()
        give_back.set()
        thread.join()
        holder.join()
        run("fork", compat_workers.add_to_slot, (two[1], 0, 0, 1))
        assert two[0].get_all_task_ids() == [2]
        end.set()
        child.join()

    def test_an_error_in_the_block_gives_it_back(self, two, monkeypatch):
        monkeypatch.setattr(locks, "TIMEOUT", 0.05)
        with pytest.raises(KeyError, match="mine"), two[0].acquire_lock():
            raise KeyError("mine")
        arguments = (two[0], 0, AT["total_score"], 1)
        two[0].create(7)
        run("fork", compat_workers.add_to_slot, arguments)


def test_cleanup_leaves_nothing():
    backend = SharedMemoryBackend(16)
    name = backend.session_id
    backend.create(1)
    assert name in {facts["name"] for facts in list_sessions()}
    backend.cleanup()
    backend.cleanup()
    assert name not in {facts["name"] for facts in list_sessions()}

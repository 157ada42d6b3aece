"""Syncs between nodes, over an all-gather of their own: tables are equal and nothing is lost."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal

import numpy as np
import pytest

from curricle import (
    CapacityError,
    Curriculum,
    LearningProgressConfig,
    LocalMemoryBackend,
    NoiseAwareConfig,
    Rules,
    SessionError,
    SharedMemoryBackend,
    TaskTracker,
)
from nodes import Room, at_once, sync
from sync_workers import report_for_ever, report_some

RULES = {
    "noise-aware": Rules(progress="noise-aware", score_range=(0.0, 1.0)),
    "bidirectional": Rules(progress="bidirectional", score_range=(0.0, 1.0), baseline="mean"),
    "unbounded": Rules(progress="bidirectional"),
    "given": Rules(progress="given"),
}
STATISTICS = (
    "completion_count",
    "env_steps",
    "reward_ema",
    "ema_squared",
    "success_rate_ema",
    "total_score",
    "last_score",
    "p_fast",
    "p_slow",
    "p_true",
    "random_baseline",
    "evidence",
    "lp_score",
    "weight",
)


def trackers(n, rules=RULES["noise-aware"], max_tasks=40, sync_episodes=10_000, **options):
    return [
        TaskTracker(
            backend=LocalMemoryBackend(
                max_tasks, rules=rules, sync_episodes=sync_episodes, **options
            )
        )
        for _ in range(n)
    ]


def by_label(tracker):
    own = {"scheduled"}
    return {
        label: {name: value for name, value in totals.items() if name not in own}
        for label, totals in tracker.label_totals().items()
        if totals["completions"] or totals["tasks"]
    }


def assert_equal(nodes, synced):
    """All nodes have what the sync says, in every way that a user can look at it."""
    assert len({each.digest for each in synced}) == 1
    for node in nodes:
        assert node.digest() == synced[0].digest
        node.verify()
    tables = [np.sort(node.snapshot(), order="task_id") for node in nodes]
    given = nodes[0].backend.rules == RULES["given"]
    derived = STATISTICS[:-2] if given else STATISTICS
    for name in ("task_id", "seed", "creation_time", "success_threshold", *derived):
        for table in tables:
            np.testing.assert_array_equal(table[name], tables[0][name], name)
    labels = [
        {task_id: node.get_task_label(task_id) for task_id in tables[0]["task_id"].tolist()}
        for node in nodes
    ]
    assert all(each == labels[0] for each in labels)
    assert all(by_label(node) == by_label(nodes[0]) for node in nodes)
    for name in ("created", "evicted", "removed", "completions", "score_sum", "env_steps"):
        assert len({node.totals()[name] for node in nodes}) == 1, name


class Players:
    """Does on nodes what users do, at random, and keeps count of the episodes."""

    def __init__(self, nodes, seed, tasks):
        self.nodes, self.tasks = nodes, tasks
        self.rng = np.random.default_rng(seed)
        self.episodes = 0

    def play(self, acts):
        for _ in range(acts):
            # Where all labels are in use another one is refused, before anything is done.
            with contextlib.suppress(CapacityError):
                self.act()

    def act(self):
        node = self.nodes[self.rng.integers(len(self.nodes))]
        task_id, act = int(self.rng.integers(self.tasks)), self.rng.integers(24)
        label = [None, "a", "b", f"c{self.episodes // 500}"][self.rng.integers(4)]
        if act == 0:
            node.remove_task(task_id, evict=True)
        elif act == 1:
            node.replace_task(task_id, int(self.rng.integers(self.tasks)), label=label)
        elif act == 2 and task_id in node:
            node.set_task_label(task_id, label)
        elif act == 3 and task_id in node:
            node.backend.set_success_threshold(task_id, float(self.rng.random()))
        elif task_id in node or len(node) < node.max_memory_tasks:
            node.track_task_creation(task_id, seed=task_id, label=label)
            node.update(task_id, float(self.rng.integers(5)) / 4, int(self.rng.integers(9)))
            self.episodes += 1


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("capacity", [5, 60])
def test_random_histories_end_in_equal_tables_without_a_lost_episode(rules, capacity):
    nodes = trackers(4, RULES[rules], capacity, max_labels=4, max_inactive_labels=0)
    players = Players(nodes, capacity, tasks=50)
    late = 0
    for number in range(1, 6):
        players.play(800)
        synced = sync(nodes)
        assert_equal(nodes, synced)
        assert {each.number for each in synced} == {number}
        late += synced[0].late
        assert nodes[0].totals()["completions"] + late == players.episodes


def test_what_is_reported_in_the_midst_of_a_sync_comes_with_the_next():
    nodes = trackers(3, max_tasks=20)
    players = Players(nodes, 7, tasks=30)
    late = 0

    class Busy(Room):
        def door(self, rank):
            all_gather = super().door(rank)

            def beside(message):
                messages = all_gather(message)
                if rank == 0:
                    players.play(300)
                self.barrier.wait()
                return messages

            return beside

    for _ in range(5):
        late += sync(nodes, Busy(3))[0].late
        for node in nodes:
            node.verify()
    synced = sync(nodes)
    assert_equal(nodes, synced)
    late += synced[0].late
    assert nodes[0].totals()["completions"] + late == players.episodes


@pytest.mark.parametrize("rules", ["noise-aware", "bidirectional", "unbounded"])
def test_statistics_are_those_of_one_machine_that_plays_the_merged_sequence(rules):
    nodes = trackers(3, RULES[rules])
    alone = trackers(1, RULES[rules])[0]
    rng = np.random.default_rng(1)
    for tracker in [*nodes, alone]:
        for task_id in range(10):
            tracker.track_task_creation(task_id)
    sync(nodes)
    for _ in range(4):
        for node in nodes:
            # One stripe after the other, as the node tells it: the order matters to nothing but
            # the range of scores where none is given.
            ids = np.sort(rng.integers(0, 10, 500))
            scores = rng.normal(size=500).clip(0, 1)
            node.update_batch(ids, scores)
            alone.update_batch(ids, scores)
        assert_equal(nodes, sync(nodes))
        for task_id in range(10):
            expected, found = (each.backend.read(task_id) for each in (alone, nodes[2]))
            names = STATISTICS if rules != "unbounded" else STATISTICS[:-2]
            for name in names:
                assert getattr(found, name) == getattr(expected, name), name


def test_an_episode_of_a_task_that_another_node_evicted_is_late():
    nodes = trackers(2)
    nodes[0].track_task_creation(1, label="a")
    sync(nodes)
    nodes[1].update(1, 0.5)
    nodes[0].remove_task(1, evict=True)
    synced = sync(nodes)
    # Rank 0 came first.
    assert [each.late for each in synced] == [1, 1]
    assert_equal(nodes, synced)
    assert 1 not in nodes[1]
    # The other way round it was played before.
    nodes[0].track_task_creation(2)
    sync(nodes)
    nodes[0].update(2, 0.5)
    nodes[1].remove_task(2, evict=True)
    synced = sync(nodes)
    assert synced[0].late == 0
    assert nodes[1].totals()["completions"] == 1
    assert_equal(nodes, synced)


def test_a_ticket_of_a_task_that_another_node_evicted_is_late():
    nodes = trackers(2)
    for task_id in (1, 2):
        nodes[0].track_task_creation(task_id)
    sync(nodes)
    tickets = {ticket.task_id: ticket for ticket in nodes[1].sample(40)}
    nodes[0].remove_task(1, evict=True)
    sync(nodes)
    assert nodes[1].report_one(tickets[1], 0.5) is None
    # A task that stays keeps its tickets, though its record came from elsewhere.
    assert nodes[1].report_one(tickets[2], 0.5) is not None


def test_a_task_that_two_nodes_create_is_one_with_the_fields_of_the_lower_rank():
    nodes = trackers(3)
    sync(nodes)
    nodes[2].track_task_creation(5, seed=2, label="two")
    nodes[1].track_task_creation(5, seed=1, label="one", success_threshold=0.75)
    nodes[2].update(5, 1.0)
    nodes[1].update(5, 0.0)
    synced = sync(nodes)
    assert_equal(nodes, synced)
    data = nodes[0].backend.read(5)
    assert (data.seed, data.label, data.success_threshold) == (1, "one", 0.75)
    assert (data.completion_count, data.last_score) == (2, 1.0)
    assert nodes[0].totals()["created"] == 1
    nodes[2].set_task_label(5, "three")
    assert_equal(nodes, sync(nodes))
    assert nodes[0].get_task_label(5) == "three"


def test_a_table_that_is_too_small_for_all_evicts_the_least_learning_progress():
    nodes = trackers(2, RULES["bidirectional"], max_tasks=4)
    for task_id in range(3):
        nodes[0].track_task_creation(task_id)
    sync(nodes)
    for _ in range(20):
        nodes[0].update(0, 0.5)
        nodes[0].update(1, float(np.random.default_rng(0).random() < 0.5))
    nodes[0].update(1, 1.0)
    nodes[0].update(2, 1.0)
    nodes[0].track_task_creation(10)
    nodes[1].track_task_creation(11)
    synced = sync(nodes)
    assert_equal(nodes, synced)
    assert sorted(nodes[0].get_all_tracked_tasks()) == [1, 2, 10, 11]
    assert nodes[1].totals()["evicted"] == 1


def test_draws_limits_columns_and_given_weights_are_each_nodes_own():
    nodes = trackers(2, RULES["given"], columns=("mine",))
    for node in nodes:
        for task_id in (1, 2):
            node.track_task_creation(task_id)
    sync(nodes)
    nodes[0].sample(10)
    nodes[0].set_weights([1, 2], [0.25, 0.75])
    nodes[1].set_weights([1, 2], [3.0, 1.0])
    nodes[0].backend.session.set_column(1, "mine", 4.0)
    nodes[0].update(1, 0.5)
    assert_equal_digests(nodes)
    assert (nodes[0].totals()["scheduled"], nodes[1].totals()["scheduled"]) == (10, 0)
    assert nodes[0].probabilities()[1].tolist() == [0.25, 0.75]
    assert nodes[1].probabilities()[1].tolist() == [0.75, 0.25]
    assert nodes[0].backend.read(1).columns == (4.0,)


def assert_equal_digests(nodes):
    synced = sync(nodes)
    assert {node.digest() for node in nodes} == {synced[0].digest}


def test_a_failed_all_gather_loses_nothing_and_counts_nothing_twice():
    nodes = trackers(2)
    players = Players(nodes, 3, tasks=30)
    sync(nodes)

    def broken(message):
        raise ConnectionError("no route to host")

    late = 0
    for _ in range(3):
        players.play(100)
        with pytest.raises(ConnectionError):
            nodes[0].exchange(broken)
        players.play(100)
        # What came after the first try comes with the next sync.
        late += sync(nodes)[0].late + sync(nodes)[0].late
    assert nodes[1].totals()["completions"] + late == players.episodes
    assert nodes[0].digest() == nodes[1].digest()


def test_bytes_that_no_node_has_sent_are_refused_and_nothing_changes():
    nodes = trackers(2)
    nodes[0].update(1, 0.5)
    sync(nodes)
    nodes[0].update(1, 1.0)
    before = nodes[0].digest()
    for garble in (
        lambda message: [message, b"ray"],
        lambda message: [message, message[:-1]],
        lambda message: [b"", b""],
        lambda message: [],
    ):
        with pytest.raises(SessionError, match=r"all_gather|syncs"):
            nodes[0].exchange(garble)
    for garble in (
        lambda message: "bytes",
        lambda message: None,
        lambda message: [message, None],
        lambda message: (each for each in [message, message]),
    ):
        with pytest.raises(TypeError, match=r"all_gather returned a .*: it has to return a list"):
            nodes[0].exchange(garble)
    assert nodes[0].digest() == before
    assert_equal(nodes, sync(nodes))


def test_a_node_that_comes_late_or_back_from_a_checkpoint_gets_the_newest_state(tmp_path):
    nodes = trackers(2)
    players = Players(nodes, 5, tasks=30)
    players.play(500)
    late = sync(nodes)[0].late
    nodes[1].save(str(tmp_path / "old"))
    players.play(500)
    late += sync(nodes)[0].late
    # It comes back with less than the others have, and has played since.
    nodes[1].load(str(tmp_path / "old"))
    players.play(500)
    nodes.append(trackers(1)[0])
    players.play(500)
    synced = sync(nodes)
    assert synced[0].joined == [1, 2]
    assert_equal(nodes, synced)
    late += synced[0].late
    # Tasks are created late as well, but no episode of theirs is lost.
    assert nodes[2].totals()["completions"] + late == players.episodes


def test_the_newest_of_several_checkpoints_counts(tmp_path):
    nodes = trackers(3)
    for number in range(3):
        for node in nodes:
            node.update(1, 0.5)
        assert sync(nodes)[0].number == number + 1
        nodes[number].save(str(tmp_path / str(number)))
    again = trackers(3)
    for number, node in enumerate(again):
        node.load(str(tmp_path / str(number)))
    again[0].update(1, 1.0)
    synced = sync(again)
    assert (synced[0].number, synced[0].joined) == (4, [0, 1, 2])
    assert_equal(again, synced)
    assert again[0].totals()["completions"] == 10


def test_a_node_that_synced_with_others_meanwhile_is_named():
    nodes = trackers(3)
    sync(nodes)
    nodes[2].update(1, 0.5)
    for _ in range(2):
        sync(nodes[:2])
    sync(nodes[2:])
    with pytest.warns(RuntimeWarning, match="rank 2 had synced with other nodes"):
        synced = sync(nodes)
    assert synced[0].parted == [2]
    assert_equal(nodes, synced)


def test_a_group_goes_on_without_a_node_that_died():
    nodes = trackers(3)
    players = Players(nodes, 9, tasks=30)
    players.play(300)
    sync(nodes)
    nodes.pop(1)
    players.play(300)
    synced = sync(nodes)
    assert (synced[0].nodes, synced[0].joined) == (2, [])
    assert_equal(nodes, synced)


def fill(tracker):
    for _ in range(10_000):
        tracker.update(1, 0.5)


def test_one_thread_of_a_process_syncs_at_a_time():
    nodes = trackers(2)

    def all_gather_of_another_thread(message):
        with pytest.raises(SessionError, match="another thread of this process is in a sync"):
            nodes[0].exchange(all_gather_of_another_thread)
        raise ConnectionError("that was all")

    with pytest.raises(ConnectionError):
        nodes[0].exchange(all_gather_of_another_thread)
    assert_equal(nodes, sync(nodes))


def test_a_rank_of_which_nobody_knows_whether_it_was_counted_is_named():
    config = NoiseAwareConfig(sync_episodes=100)
    nodes = [Curriculum(4, config, session=f"doubt-{os.getpid()}-{i}") for i in range(2)]
    sync(nodes)
    nodes[1].report(1, 1.0)
    room = Room(2)

    def hear_of_no_end(message):
        room.door(1)(message)
        raise ConnectionError("no route to host")

    def left_alone():
        with pytest.raises(ConnectionError):
            nodes[1].exchange(hear_of_no_end)

    at_once([lambda: nodes[0].exchange(room.door(0)), left_alone])
    # What a process that syncs knows of the last sync ends with it: a copy has nothing of it.
    others = [pickle.loads(pickle.dumps(node)) for node in nodes]
    with pytest.warns(RuntimeWarning, match="rank 1 did not see the end of a sync"):
        synced = sync(others)
    assert synced[0].doubtful == synced[1].doubtful == [1]
    assert [node.tracker.totals()["completions"] for node in nodes] == [1, 1]
    assert sync(others)[0].doubtful == []
    for node in nodes + others:
        node.close()


def test_a_full_journal_refuses_whole_batches_and_says_how_to_go_on():
    nodes = trackers(2, max_tasks=8, sync_episodes=200)
    for _ in range(2):
        for _ in range(200):
            nodes[0].update(1, 0.5)
        with pytest.raises(CapacityError, match=r"200 episodes.*sync_episodes"):
            fill(nodes[0])
        before = nodes[0].digest()
        for refused in (
            lambda: nodes[0].update_batch([1, 2], [0.5, 0.5]),
            lambda: nodes[0].update(1, 0.5),
            lambda: nodes[0].remove_task(1),
            lambda: nodes[0].set_task_label(1, "a"),
        ):
            with pytest.raises(CapacityError):
                refused()
        assert nodes[0].digest() == before
        synced = sync(nodes)
        assert_equal(nodes, synced)
    assert nodes[1].totals()["completions"] >= 400


def test_sessions_that_do_not_fit_are_refused_by_both_their_values():
    config = {"score_range": (0.0, 1.0), "sync_episodes": 100, "use_shared_memory": False}
    cases = [
        ([NoiseAwareConfig(**config), LearningProgressConfig(**config)], [0, 0], "rank 1 has"),
        ([NoiseAwareConfig(**config)] * 2, [0, 7], "rank 0 has seed = 0.*rank 1 has seed = 7"),
        (
            [NoiseAwareConfig(**config, max_memory_tasks=tasks) for tasks in (2000, 3000)],
            [0, 0],
            "rank 0 has max_memory_tasks = 2000.*rank 1 has max_memory_tasks = 3000",
        ),
        (
            [NoiseAwareConfig(**config, exploration_bonus=bonus) for bonus in (0.1, 0.2)],
            [0, 0],
            "rank 0 has exploration_bonus = 0.1.*rank 1 has exploration_bonus = 0.2",
        ),
    ]
    for configs, seeds, message in cases:
        nodes = [
            Curriculum(10, config, seed=seed) for config, seed in zip(configs, seeds, strict=True)
        ]
        room = Room(2)

        def refused(rank, nodes=nodes, room=room):
            with pytest.raises(SessionError) as error:
                nodes[rank].exchange(room.door(rank))
            return str(error.value)

        texts = at_once([lambda rank=rank: refused(rank) for rank in range(2)])
        assert texts[0] == texts[1]
        with pytest.raises(SessionError, match=message):
            raise SessionError(texts[0])


def test_sessions_without_a_journal_say_so(tmp_path):
    with pytest.raises(SessionError, match="sync_episodes"):
        trackers(1, sync_episodes=0)[0].exchange(lambda message: [message])
    tracker = trackers(1)[0]
    tracker.update(1, 0.5)
    for refused in (
        lambda: tracker.update_bidirectional_emas(1, 0.1, 0.2, 0.3, 0.0),
        lambda: tracker.backend.write_task(1, tracker.backend.read(1)),
    ):
        with pytest.raises(SessionError, match="load a checkpoint"):
            refused()
    with pytest.raises(ValueError, match="sync_episodes"):
        NoiseAwareConfig(sync_episodes=-1)
    # Another process has to ask for the same.
    name = f"test-sync-{os.getpid()}"
    with_journal = SharedMemoryBackend(10, name, rules=RULES["given"], sync_episodes=10)
    with_journal.create(1)
    with pytest.raises(SessionError, match=r"sync_episodes 10.*20"):
        SharedMemoryBackend(10, name, rules=RULES["given"], sync_episodes=20).create(2)
    with_journal.close()


def test_ranks_of_one_session_are_refused():
    config = NoiseAwareConfig(sync_episodes=100)
    nodes = [Curriculum(10, config), Curriculum(10, config)]
    room = Room(2)

    def refused(rank):
        with pytest.raises(SessionError, match="ranks 0 and 1 name the same session"):
            nodes[rank].exchange(room.door(rank))

    at_once([lambda rank=rank: refused(rank) for rank in range(2)])
    for node in nodes:
        node.close()


def shared_trackers(n):
    return [
        TaskTracker(
            backend=SharedMemoryBackend(
                64,
                f"test-sync-{os.getpid()}-{node}",
                rules=RULES["noise-aware"],
                sync_episodes=1_000_000,
            )
        )
        for node in range(n)
    ]


def test_workers_of_several_nodes_lose_no_score():
    nodes = shared_trackers(3)
    context = multiprocessing.get_context("forkserver")
    with context.Pool(4) as pool:
        sums = [
            pool.apply_async(report_some, (nodes[worker % 3], worker, 3000)) for worker in range(6)
        ]
        while not all(each.ready() for each in sums):
            sync(nodes)
        total = sum(each.get() for each in sums)
    synced = sync(nodes)
    assert_equal(nodes, synced)
    for node in nodes:
        assert node.totals()["completions"] == node.totals()["env_steps"] == 18_000
        assert node.totals()["score_sum"] == total
        node.cleanup_shared_memory()


def test_workers_that_are_killed_leave_the_journal_and_the_table_in_agreement():
    nodes = shared_trackers(2)
    context = multiprocessing.get_context("fork")
    counts = context.Array("q", 12, lock=False)
    rng = np.random.default_rng(0)
    for round_ in range(3):
        workers = [
            context.Process(
                target=report_for_ever, args=(nodes[at % 2], round_, counts, 4 * round_ + at)
            )
            for at in range(4)
        ]
        for worker in workers:
            worker.start()
        while min(counts[4 * round_ : 4 * round_ + 4]) < rng.integers(1, 500):
            os.sched_yield()
        sync(nodes)
        for worker in workers:
            os.kill(worker.pid, signal.SIGKILL)
            worker.join()
    synced = sync(nodes)
    # Equal to what was replayed from journals alone.
    assert_equal(nodes, synced)
    reported = nodes[0].totals()["completions"]
    # Of each that was killed, one may be committed and not counted by itself.
    assert sum(counts) <= reported <= sum(counts) + 12
    for node in nodes:
        node.cleanup_shared_memory()


def test_a_curriculum_of_a_generator_has_one_pool_on_all_nodes():
    from process_workers import generator

    config = NoiseAwareConfig(score_range=(0.0, 1.0), sync_episodes=1000, use_shared_memory=False)
    nodes = [Curriculum(generator(), config, pool_size=16, seed=3) for _ in range(3)]
    synced = sync(nodes)
    assert {node.tracker.digest() for node in nodes} == {synced[0].digest}
    assert len(nodes[0].tracker) == 16
    # From then on each node draws by random numbers of its own.
    streams = [node.stream() for node in nodes]
    assert len({stream.random() for stream in streams}) == 3
    for node in nodes:
        task = node.draw()
        node.report(task.ticket, 1.0)
    synced = sync(nodes)
    assert {node.tracker.digest() for node in nodes} == {synced[0].digest}
    assert nodes[0].metrics()["env_curriculum/num_completed"] == 3.0

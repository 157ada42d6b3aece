"""The exchange through a Ray actor: all payloads to all ranks, whatever ends meanwhile."""

import os
import uuid
from contextlib import suppress

import pytest

ray = pytest.importorskip("ray", reason="Ray is not installed")

from ray.exceptions import RayActorError  # noqa: E402

from curricle import Curriculum  # noqa: E402
from curricle.integrations.ray import RayExchange  # noqa: E402
from example_runs import run_python  # noqa: E402
from ray_workers import Machine, payload, small_ray  # noqa: E402

# Seconds that a rank is waited for where it is known not to come.
SHORT = 1.0


@pytest.fixture(scope="module")
def machines():
    with small_ray():
        yield [Machine.remote() for _ in range(8)]


@pytest.fixture
def name():
    return uuid.uuid4().hex


def begin(machines, name, **options):
    places = [(name, rank, len(machines)) for rank in range(len(machines))]
    ray.get([m.begin.remote(*place, **options) for m, place in zip(machines, places, strict=True)])


def gather(machines, payloads):
    return [m.gather.remote(p) for m, p in zip(machines, payloads, strict=True)]


def meeting(name):
    return ray.get_actor(f"curricle.exchange.{name}")


def wait_until_handed_in(name, count):
    def look(meeting):
        return len(meeting._rounds[max(meeting._rounds)].handed_in) if meeting._rounds else 0

    while True:
        # The actor may not have been started yet.
        with suppress(ValueError):
            if ray.get(meeting(name).__ray_call__.remote(look)) == count:
                return


@pytest.mark.parametrize("world_size", [1, 2, 4, 8])
def test_every_rank_gets_the_payloads_of_all_by_rank(machines, name, world_size):
    world = machines[:world_size]
    begin(world, name)
    rounds = [m.gather_often.remote(20, rank) for rank, m in enumerate(world)]
    expected = [[payload(n, rank) for rank in range(world_size)] for n in range(20)]
    for of_rank in ray.get(rounds):
        assert of_rank == expected


def test_payloads_of_megabytes(machines, name):
    begin(machines[:4], name)
    payloads = [os.urandom(2_000_000 + rank) for rank in range(4)]
    for of_rank in ray.get(gather(machines[:4], payloads)):
        assert of_rank == payloads


def test_a_round_goes_on_when_the_actor_is_restarted_in_its_middle(machines, name):
    world = machines[:4]
    begin(world, name)
    ray.get(gather(world, [b"before"] * 4))
    payloads = [b"0", b"1", b"2", b"3"]
    early = gather(world[:3], payloads[:3])
    wait_until_handed_in(name, 3)
    ray.kill(meeting(name), no_restart=False)
    late = gather(world[3:], payloads[3:])
    assert ray.get(early + late) == [payloads] * 4
    assert ray.get(gather(world, [b"after"] * 4)) == [[b"after"] * 4] * 4


def test_a_restart_between_rounds_loses_nothing(machines, name):
    begin(machines[:2], name)
    for number in range(3):
        payloads = [b"0", b"%d" % number]
        assert ray.get(gather(machines[:2], payloads)) == [payloads] * 2
        ray.kill(meeting(name), no_restart=False)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_rank_whose_answer_was_lost_asks_again(machines, name, restarted):
    world = machines[:2]
    begin(world, name)
    payloads = [b"0", b"1"]
    first = world[0].gather.remote(b"0")
    # Now the actor ends with rank 0's object, not with the one that rank 1 loses.
    wait_until_handed_in(name, 1)
    assert ray.get([first, world[1].gather.remote(b"1")]) == [payloads] * 2
    ray.get(world[1].lose_answer.remote())
    if restarted:
        # Now only rank 0 knows the round, and tells it on its way to the next one.
        ray.kill(meeting(name), no_restart=False)
    again = world[1].gather.remote(b"1")
    further = world[0].gather.remote(b"2")
    assert ray.get(again) == payloads
    assert ray.get([further, world[1].gather.remote(b"3")]) == [[b"2", b"3"]] * 2


def ask_for_ever(machine):
    """Until it is dead, which it need not be yet when it has been killed."""
    while True:
        ray.get(machine.lose_answer.remote())


def test_the_end_of_the_process_that_started_the_actor_ends_no_exchange(machines, name):
    world = [Machine.remote(), *machines[:2]]
    begin(world, name)
    first = world[0].gather.remote(b"0")
    wait_until_handed_in(name, 1)
    rest = gather(world[1:], [b"1", b"2"])
    assert ray.get([first, *rest]) == [[b"0", b"1", b"2"]] * 3
    waiting = world[1].gather.remote(b"1")
    wait_until_handed_in(name, 1)
    ray.kill(world[0])
    with pytest.raises(RayActorError):
        ask_for_ever(world[0])
    begin(machines[2:4], name, generation=1)
    assert ray.get(gather(machines[2:4], [b"a", b"b"])) == [[b"a", b"b"]] * 2
    with pytest.raises(RuntimeError, match="generation 0 has ended: generation 1 of 2 ranks"):
        ray.get(waiting)


def test_a_missing_rank_is_named_to_all_and_those_that_are_left_go_on(machines, name):
    world = machines[:4]
    begin(world, name)
    patient = world[3].gather.remote(b"3")
    wait_until_handed_in(name, 1)
    ray.get(world[0].begin.remote(name, 0, 4, timeout=SHORT))
    for call in [world[0].gather.remote(b"0"), patient]:
        with pytest.raises(TimeoutError, match=r"2 of 4 ranks are missing: 1, 2;"):
            ray.get(call)
    # Who comes late to a round that failed is told as well, and does not wait.
    with pytest.raises(TimeoutError, match=r"2 of 4 ranks are missing: 1, 2;"):
        ray.get(world[1].gather.remote(b"1"))
    with pytest.raises(RuntimeError, match="a generation above 0"):
        ray.get(world[0].gather.remote(b"another"))
    left = [world[0], world[1], world[3]]
    begin(left, name, generation=1)
    assert ray.get(gather(left, [b"a", b"b", b"c"])) == [[b"a", b"b", b"c"]] * 3


def test_a_late_rank_is_waited_for(machines, name):
    begin(machines[:2], name)
    early = machines[0].gather.remote(b"early")
    assert ray.wait([early], timeout=SHORT)[0] == []
    late = machines[1].gather.remote(b"late")
    assert ray.get([early, late]) == [[b"early", b"late"]] * 2


def test_two_processes_of_one_rank_are_refused(machines, name):
    ray.get([m.begin.remote(name, 0, 2) for m in machines[:2]])
    first = machines[0].gather.remote(b"0")
    wait_until_handed_in(name, 1)
    with pytest.raises(RuntimeError, match="two processes are rank 0 of generation 0"):
        ray.get(machines[1].gather.remote(b"0"))
    ray.get(machines[2].begin.remote(name, 1, 3))
    with pytest.raises(RuntimeError, match="world_size=3, others of generation 0 say 2"):
        ray.get(machines[2].gather.remote(b"1"))
    ray.get(machines[1].begin.remote(name, 1, 2))
    assert ray.get([first, machines[1].gather.remote(b"1")]) == [[b"0", b"1"]] * 2


def test_two_jobs_with_one_name_do_not_meet(machines, name):
    begin(machines[:2], name)
    first = machines[0].gather.remote(b"0")
    wait_until_handed_in(name, 1)
    code = (
        "import sys, ray; from curricle.integrations.ray import RayExchange\n"
        "ray.init(address=sys.argv[1], log_to_driver=False)\n"
        "print(RayExchange(sys.argv[2], 0, 1)(b'of another job'))"
    )
    address = ray.get_runtime_context().gcs_address
    out = run_python("-c", code, address, name)
    assert out.splitlines()[-1] == "[b'of another job']"
    assert ray.get([first, machines[1].gather.remote(b"1")]) == [[b"0", b"1"]] * 2


@pytest.mark.parametrize(
    ("place", "options", "said"),
    [
        (("x", 2, 2), {}, r"rank is 2; it must be within \[0, 1\]"),
        (("x", 0, 0), {}, "world_size is 0"),
        (("x", 0, 1), {"generation": -1}, "generation is -1"),
        (("x", 0, 1), {"timeout": 0}, "timeout=0: must be above 0 seconds"),
    ],
)
def test_numbers_out_of_range(place, options, said):
    with pytest.raises(ValueError, match=said):
        RayExchange(*place, **options)


@pytest.mark.skipif(
    not hasattr(Curriculum, "exchange"), reason="this curriculum exchanges no episodes"
)
@pytest.mark.parametrize("world_size", [2, 4])
def test_sessions_of_several_machines_become_one(machines, name, world_size):
    world = machines[:world_size]
    begin(world, name)
    shares = [m.share.remote(rank, 10 + rank) for rank, m in enumerate(world)]
    episodes = sum(10 + rank for rank in range(world_size))
    score_sum = sum(rank * (10 + rank) for rank in range(world_size))
    assert ray.get(shares) == [(episodes, score_sum)] * world_size

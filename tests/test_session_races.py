"""Who makes a session and who joins it when many processes come and go at once."""

import os
import secrets

import numpy as np
import pytest

from curricle._core import Session
from curricle.errors import SessionError
from session_workers import Team, files_of, wait_for_all

PROCESSES = 8


@pytest.fixture
def name():
    return f"test-{secrets.token_hex(8)}"


def meet(session, number):
    """Adds a task of this process's own; all tasks, when all processes have done so."""
    session.create(number)
    wait_for_all()
    tasks = sorted(session.task_ids().tolist())
    wait_for_all()
    return tasks


def open_many(number, name, races):
    facts = []
    for race in range(races):
        wait_for_all()
        # Each process asks for another seed: the maker's counts, so all must see that one.
        session = Session(64, name=f"{name}-{race}", seed=number + 1)
        facts.append((session.created, session.seed, meet(session, number)))
        session.close()
    return facts


def test_exactly_one_of_eight_creates(name):
    races = 500
    with Team(PROCESSES) as team:
        answers = team.ask(open_many, name, races)
    creators = set()
    for facts in zip(*answers, strict=True):
        (creator,) = [number for number, (created, _, _) in enumerate(facts) if created]
        creators.add(creator)
        assert {seed for _, seed, _ in facts} == {creator + 1}
        assert all(tasks == list(range(PROCESSES)) for _, _, tasks in facts)
    assert len(creators) > 1, "these were no races"
    assert files_of(name) == []


def meet_the_last_to_leave(number, name, races):
    facts = []
    for race in range(races):
        options = {"name": name, "seed": PROCESSES * race + number + 1}
        if number == race % PROCESSES:
            last = Session(64, mode="create", **options)
            last.create(1000)
            wait_for_all()
            last.close()
        else:
            wait_for_all()
            # Some come a little later than others.
            for _ in range((race + number) % 4):
                Session(64, name=f"{name}-{number}").close()
        session = Session(64, **options)
        facts.append((session.created, session.seed, meet(session, number)))
        session.close()
        wait_for_all()
    return facts


def test_processes_that_come_while_the_last_one_leaves_meet_in_one_session(name):
    races = 300
    with Team(PROCESSES) as team:
        answers = team.ask(meet_the_last_to_leave, name, races)
    kept = 0
    for race, facts in enumerate(zip(*answers, strict=True)):
        creators = [number for number, (created, _, _) in enumerate(facts) if created]
        old = PROCESSES * race + race % PROCESSES + 1
        (seed,) = {seed for _, seed, _ in facts}
        everybody = list(range(PROCESSES))
        # Either somebody joined before the last one was out, or the session went and one of
        # them made the next.
        if creators:
            (creator,) = creators
            assert seed == PROCESSES * race + creator + 1
        else:
            assert seed == old
            everybody.append(1000)
            kept += 1
        assert all(tasks == everybody for _, _, tasks in facts)
    assert 0 < kept < races, "these were no races"
    assert files_of(name) == []


def come_and_go(number, name, rounds):
    wait_for_all()
    made = 0
    for round_ in range(rounds):
        session = Session(8, name=name, seed=PROCESSES * round_ + number)
        # The name must stand for what this process has, as long as it has it.
        other = Session(name=name, mode="attach")
        assert other.seed == session.seed
        made += session.created
        other.close()
        session.close()
    return made


def test_processes_that_come_and_go_at_will(name):
    rounds = 1000
    with Team(PROCESSES) as team:
        made = team.ask(come_and_go, name, rounds)
    assert 1 <= sum(made) <= PROCESSES * rounds
    assert files_of(name) == []


def attach_to_one_that_ends(number, name, races):
    outcomes = []
    for race in range(races):
        if number == 0:
            last = Session(64, name=name, mode="create", seed=race)
            wait_for_all()
            last.close()
            outcomes.append("left")
        else:
            wait_for_all()
            try:
                session = Session(name=name, mode="attach")
            except SessionError as error:
                assert "there is no such session" in str(error)  # noqa: PT017
                outcomes.append("refused")
            else:
                # What is attached has the name: another opening finds the same.
                other = Session(name=name, mode="attach")
                session.create(number)
                assert number in other
                assert session.seed == other.seed == race
                other.close()
                session.close()
                outcomes.append("attached")
        wait_for_all()
    return outcomes


def test_attaching_to_a_session_that_ends_joins_it_or_is_refused(name):
    with Team(PROCESSES) as team:
        answers = team.ask(attach_to_one_that_ends, name, 300)
    outcomes = {outcome for answer in answers[1:] for outcome in answer}
    assert outcomes == {"attached", "refused"}
    assert files_of(name) == []


def revive(number, path, tasks, rounds):
    made = 0
    for round_ in range(rounds):
        wait_for_all()
        session = Session(2 * tasks, path=path)
        made += session.create_many(np.arange(tasks)).sum()
        session.create(tasks + PROCESSES * round_ + number)
        session.close()
    return int(made)


def test_processes_that_revive_a_session_together_find_every_task(tmp_path):
    path, tasks, rounds = str(tmp_path / "session"), 20_000, 10
    first = Session(2 * tasks, path=path)
    first.create_many(np.arange(tasks))
    first.close()
    with Team(PROCESSES) as team:
        assert team.ask(revive, path, tasks, rounds) == [0] * PROCESSES
    with_all = Session(path=path, mode="attach")
    assert with_all.verify()["tasks"] == tasks + PROCESSES * rounds
    with_all.close()
    assert os.listdir(tmp_path) == ["session"]

"""Sessions, rules and files that cannot be: what they are refused with, and nothing is left."""

import os

import pytest

from curricle import (
    CheckpointError,
    LocalMemoryBackend,
    SessionError,
    SharedMemoryBackend,
    list_sessions,
    remove_session,
)
from curricle._core import Rules, Session, Stream, Ticket
from refusals import (
    INF,
    NAN,
    RULES,
    SEED,
    Table,
    cases,
    ids,
    new_name,
    own_files,
    refuse,
    unchanged,
)

NAME = new_name()
CAPACITY = "1 to 67108864"
NAMES = "1 to 200 bytes.*no '/'"


@cases(
    ("zero", lambda: Session(0, name=NAME), ValueError, f"capacity 0 .*{CAPACITY}"),
    ("negative", lambda: Session(-1, name=NAME), ValueError, r"-1.*\[0, 2\*\*64\)"),
    ("large", lambda: Session(2**40, name=NAME), ValueError, f"capacity {2**40} .*{CAPACITY}"),
    ("float", lambda: Session(4.0, name=NAME), TypeError, r"4\.0 \(float\).*integer"),
    ("bool", lambda: Session(True, name=NAME), TypeError, "True.*integer"),
    ("none", lambda: Session(name=NAME), ValueError, "needs a capacity"),
    ("labels", lambda: Session(4, name=NAME, max_labels=0), ValueError, "max_labels 0.*1 to 65536"),
    (
        "many labels",
        lambda: Session(4, name=NAME, max_labels=2**40),
        ValueError,
        f"max_labels {2**40}.*1 to 65536",
    ),
    ("seed", lambda: Session(4, name=NAME, seed=-1), ValueError, f"seed -1.*{SEED}"),
    ("mode", lambda: Session(4, name=NAME, mode="join"), ValueError, "join.*create-or-attach"),
    (
        "timeout",
        lambda: Session(4, name=NAME, lock_timeout=-1.0),
        ValueError,
        r"lock_timeout = -1\.0.*\[0, 1e9\]",
    ),
    (
        "no timeout",
        lambda: Session(4, name=NAME, lock_timeout=NAN),
        ValueError,
        "timeout = nan",
    ),
    ("slash", lambda: Session(4, name=f"{NAME}/a"), ValueError, NAMES),
    ("empty", lambda: Session(4, name=""), ValueError, f"empty.*{NAMES}"),
    ("dot", lambda: Session(4, name=f".{NAME}"), ValueError, NAMES),
    ("lock", lambda: Session(4, name=f"{NAME}.lock"), ValueError, NAMES),
    ("zero byte", lambda: Session(4, name=f"{NAME}\0"), ValueError, NAMES),
    ("long", lambda: Session(4, name=NAME + "x" * 200), ValueError, f"too long.*{NAMES}"),
    ("surrogate", lambda: Session(4, name=f"{NAME}\ud800"), ValueError, "surrogate"),
    ("no name", lambda: Session(4, name=7), TypeError, "int"),
    ("both", lambda: Session(4, name=NAME, path="x"), ValueError, "both.*one of them"),
    ("content", lambda: Session(4, name=NAME, content="x" * 121), ValueError, "121 bytes.*120"),
    ("nine", lambda: Session(4, name=NAME, columns=list("abcdefghi")), ValueError, "9.*0 to 8"),
    ("same", lambda: Session(4, name=NAME, columns=["a", "a"]), ValueError, "a.*twice"),
    ("taken", lambda: Session(4, name=NAME, columns=["p_fast"]), ValueError, "p_fast.*otherwise"),
    ("bare", lambda: Session(4, name=NAME, columns=[""]), ValueError, "0 bytes; 1 to 31"),
    ("wide", lambda: Session(4, name=NAME, columns=["x" * 32]), ValueError, "32 bytes; 1 to 31"),
    ("text", lambda: Session(4, name=NAME, columns="abc"), TypeError, "str"),
    ("rules", lambda: Session(4, {"floor": 1}, name=NAME), TypeError, "dict.*Rules"),
    ("word", lambda: Session(4, name=NAME, capacities=1), TypeError, "capacities"),
    ("attach", lambda: Session(name=NAME, mode="attach"), SessionError, f"{NAME}.*no such session"),
    (
        "read",
        lambda: Session(name=NAME, mode="read-only"),
        SessionError,
        f"{NAME}.*no such session",
    ),
    ("local", lambda: Session(4, mode="attach"), ValueError, "process-local.*name or a path"),
    ("folder", lambda: Session(4, path="/proc/none/x"), ValueError, "folder does not exist.*make"),
    ("a folder", lambda: Session(4, path="/proc"), SessionError, "/proc.*a folder"),
    ("backend", lambda: LocalMemoryBackend(0).session, ValueError, f"capacity 0 .*{CAPACITY}"),
    (
        "name and path",
        lambda: SharedMemoryBackend(4, NAME, path="x"),
        ValueError,
        f"{NAME}.*path='x'.*not both",
    ),
    (
        "memory",
        lambda: Session(2**26, name=NAME, max_labels=65536),
        SessionError,
        r"needs \d+ bytes, \d+ bytes are available.*shm-size.*path.*local",
    ),
)
def test_sessions(case):
    if case.name == "memory":
        space = os.statvfs("/dev/shm")
        if space.f_bavail * space.f_frsize > 24_000_000_000:
            pytest.skip("there is enough shared memory for the largest session")
    refuse(case)
    assert own_files(NAME) == ([], [])


@cases(
    ("alpha", lambda: Rules(ema_alpha=0.0), ValueError, r"ema_alpha = 0\.0.*\(0, 1\]"),
    ("alpha 1.5", lambda: Rules(ema_alpha=1.5), ValueError, r"ema_alpha = 1\.5.*\(0, 1\]"),
    ("timescale", lambda: Rules(ema_timescale=NAN), ValueError, r"ema_timescale = nan.*\(0, 1\]"),
    (
        "factor",
        lambda: Rules(slow_timescale_factor=-1.0),
        ValueError,
        r"slow_timescale_factor = -1\.0.*\(0, 1\]",
    ),
    ("floor", lambda: Rules(floor=1.1), ValueError, r"floor = 1\.1.*\[0, 1\]"),
    ("blend", lambda: Rules(exploration_blend=-0.1), ValueError, r"-0\.1.*\[0, 1\]"),
    (
        "noise",
        lambda: Rules(noise_deviations=INF),
        ValueError,
        "noise.* = inf.*at least 0",
    ),
    ("slope", lambda: Rules(amplification=0.0), ValueError, r"amplification = 0\.0.*above 0"),
    ("bonus", lambda: Rules(performance_bonus=4096.0), ValueError, r"4096\.0.*\[0, 4096\)"),
    ("range", lambda: Rules(score_range=(1.0, 0.0)), ValueError, r"\(1\.0, 0\.0\).*lo < hi"),
    ("wide", lambda: Rules(score_range=(0.0, 2e9)), ValueError, r"2000000000\.0.*1e9"),
    ("nan", lambda: Rules(score_range=(NAN, 1.0)), ValueError, r"\(nan, 1\.0\)"),
    ("three", lambda: Rules(score_range=(0.0, 1.0, 2.0)), ValueError, "2.*3"),
    ("baseline", lambda: Rules(baseline="mean"), ValueError, "baseline.*score_range.*leave"),
    (
        "fixed",
        lambda: Rules(baseline=1.0, score_range=(0.0, 1.0)),
        ValueError,
        r"baseline = 1\.0.*\[0, 1\)",
    ),
    ("word", lambda: Rules(baseline="median"), ValueError, 'median.*"mean"'),
    ("reweighting", lambda: Rules(reweighting=0.3), ValueError, r"reweighting = 0\.3.*score_range"),
    ("samples", lambda: Rules(baseline_samples=0), ValueError, "baseline_samples = 0.*at least 1"),
    ("law", lambda: Rules(law="best"), ValueError, "best.*proportional.*sigmoid.*uniform"),
    ("progress", lambda: Rules(progress="none"), ValueError, "none.*bidirectional"),
    ("text", lambda: Rules(floor="a"), TypeError, "number"),
    ("stream", lambda: Stream(-1), ValueError, f"seed -1.*{SEED}"),
    ("words", lambda: setattr(Stream(1), "state", (0, 0, 0, 0)), ValueError, "four zeros"),
    ("ticket", lambda: Ticket(2**63, 0, 0, 0), ValueError, f"task_id {2**63}"),
)
def test_rules_and_streams(case):
    if case.name == "ticket" and "serial" not in dir(Ticket):
        pytest.skip("tickets of this build have three numbers")
    refuse(case)


@cases(
    ("capacity", lambda n: Session(6, RULES, name=n), SessionError, "capacity 5.*asks for 6"),
    ("columns", lambda n: Session(5, RULES, name=n, columns=["a"]), SessionError, r'\["a"\]'),
    ("labels", lambda n: Session(5, RULES, name=n, max_labels=9), SessionError, "256.*9"),
    (
        "rules",
        lambda n: Session(5, Rules(score_range=(0.0, 2.0)), name=n),
        SessionError,
        r"score_range.*1\.0.*2\.0.*same settings",
    ),
    (
        "create",
        lambda n: Session(5, RULES, name=n, mode="create"),
        SessionError,
        "in use.*another name",
    ),
    ("remove", lambda n: remove_session(n), SessionError, "in use|live"),
)
def test_a_session_that_is_there(case):
    table = Table("shared")
    with unchanged(table.tracker, table.name):
        refuse(case, table.name)
    table.close()


class TestFiles:
    """Files that are no session, or one cut short."""

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "session"

    @pytest.mark.parametrize("mode", ["create-or-attach", "attach", "read-only"])
    def test_a_file_that_is_no_session(self, path, mode):
        for content in (b"", b"x", b"\0" * 8192, b"some other file" * 1000):
            path.write_bytes(content)
            with pytest.raises(SessionError, match=f"{path}.*(not a session|bytes|empty)"):
                Session(5, RULES, path=str(path), mode=mode)
            assert path.read_bytes() == content

    def test_a_truncated_session(self, path):
        session = Session(5, RULES, path=str(path))
        session.create_many(ids(1, 2))
        session.close()
        whole = path.read_bytes()
        for size in (7, 100, 4096, len(whole) // 2, len(whole) - 1):
            path.write_bytes(whole[:size])
            with pytest.raises(SessionError, match=rf"{path}"):
                Session(5, RULES, path=str(path))
            assert path.read_bytes() == whole[:size]
        path.write_bytes(whole)
        with pytest.raises(SessionError, match=r"capacity 5.*6"):
            Session(6, RULES, path=str(path))
        session = Session(5, RULES, path=str(path))
        assert session.task_ids().tolist() == [1, 2]
        session.close()

    def test_a_link(self, path, tmp_path):
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(SessionError, match="link"):
            Session(5, RULES, path=str(path))
        assert not (tmp_path / "elsewhere").exists()


class TestCheckpoints:
    """State files that cannot be read or written."""

    @pytest.fixture(params=["local", "shared", "dict"])
    def table(self, request):
        made = Table(request.param)
        yield made
        made.close()

    def test_what_is_no_checkpoint(self, table, tmp_path):
        path = tmp_path / "state"
        table.tracker.save(str(path))
        whole = path.read_bytes()
        flipped = bytearray(whole)
        flipped[len(whole) // 2] ^= 4
        contents = [b"", b"x", whole[:-1], whole[:10], bytes(flipped), whole + b"x", b"\0" * 999]
        with unchanged(table.tracker, table.name):
            for content in contents:
                path.write_bytes(content)
                with pytest.raises(CheckpointError, match=f"{path}: ."):
                    table.tracker.load(str(path))
            for missing in (tmp_path / "missing", tmp_path):
                with pytest.raises(CheckpointError, match=f"{missing}: ."):
                    table.tracker.load(str(missing))

    def test_where_nothing_can_be_written(self, table, tmp_path):
        path = tmp_path / "state"
        table.tracker.save(str(path))
        before = path.read_bytes()
        with unchanged(table.tracker, table.name):
            for wrong in (tmp_path / "none" / "state", tmp_path):
                with pytest.raises(CheckpointError, match=f"{wrong}: ."):
                    table.tracker.save(str(wrong))
        assert path.read_bytes() == before
        assert os.listdir(tmp_path) == ["state"]

    def test_more_tasks_than_there_is_room_for(self, table, tmp_path):
        path = str(tmp_path / "state")
        large = LocalMemoryBackend(9, rules=RULES)
        if table.backend.name is None and not isinstance(table.backend, LocalMemoryBackend):
            large = type(table.backend)(9, RULES)
        large.create_many(ids(*range(9)))
        large.save(path)
        with (
            unchanged(table.tracker, table.name),
            pytest.raises((CheckpointError, RuntimeError), match=r"(?=.*9)(?=.*5)"),
        ):
            table.tracker.load(path)


def test_a_closed_session_says_so():
    name = new_name()
    session = Session(5, RULES, name=name)
    session.create(1)
    ticket = session.draw()
    session.close()
    session.close()
    for call in (
        lambda: session.create(2),
        lambda: session.update(1, 0.5),
        lambda: session.report(ticket, 0.5),
        lambda: session.read(1),
        lambda: session.snapshot(),
        lambda: session.totals(),
        lambda: session.draw(),
        lambda: session.verify(),
        lambda: len(session),
        lambda: 1 in session,
    ):
        with pytest.raises(SessionError, match=f"{name}.*closed.*open"):
            call()
    assert own_files(name) == ([], [])


def test_a_handle_that_may_only_read():
    table = Table("shared")
    reader = Session(name=table.name, mode="read-only")
    with unchanged(table.tracker, table.name):
        for call in (
            lambda: reader.create(9),
            lambda: reader.update(1, 0.5),
            lambda: reader.report(table.tickets[0], 0.5),
            lambda: reader.remove(1),
            lambda: reader.clear(),
            lambda: reader.set_lp(1, 0.1),
            lambda: reader.draw(),
        ):
            with pytest.raises(SessionError, match=r"read-only"):
                call()
    # What was refused can still be reported.
    assert table.backend.report(table.tickets[0], 0.5) is not None
    reader.close()
    table.close()


def test_names_that_cannot_be_removed():
    before = list_sessions()
    for wrong in ("a/b", "", "x" * 300):
        with pytest.raises(ValueError, match=NAMES):
            remove_session(wrong)
    assert remove_session(new_name()) is False
    mine = [s for s in before if s["name"].startswith(NAME)]
    assert mine == []

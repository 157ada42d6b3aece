"""Too little memory is an error that says what to do, and never kills a process later."""

import errno
import json
import os
import re
import resource
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

from curricle._core import Session
from curricle.errors import SessionError
from session_workers import LIMIT

MEBIBYTE = 1 << 20
REMEDIES = ["smaller capacity", "dead processes", "--shm-size", "path on a disk", "local backend"]
# Runs what follows with a tmpfs of 1 MiB over the folder, in mounts of its own.
SMALL = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"']

COMMON = """
import json, os, sys
from curricle import Curriculum
from curricle._core import Session
from curricle.errors import SessionError

folder = sys.argv[1]
place = {"name": "small"} if folder == "/dev/shm" else {"path": folder + "/small"}

def attempt(capacity):
    try:
        return Session(capacity, max_labels=12, **place)
    except SessionError as error:
        return str(error)

def fill():
    with open(folder + "/filler", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError as error:
            return error.errno
"""


def run_in_a_mebibyte(folder, script):
    """What the script prints, as JSON, where ``folder`` has 1 MiB."""
    try:
        probe = [*SMALL, folder, "true"]
        mounted = subprocess.run(probe, capture_output=True, timeout=LIMIT, check=False)
    except FileNotFoundError:
        pytest.skip("there is no unshare command")
    if mounted.returncode != 0:
        pytest.skip(f"no mounts here: {mounted.stderr.decode().strip()}")
    done = subprocess.run(
        [*SMALL, folder, sys.executable, "-c", COMMON + script, folder],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    # A negative code names the signal, SIGBUS for one.
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.fixture(params=["name", "path"])
def folder(request, tmp_path):
    return "/dev/shm" if request.param == "name" else str(tmp_path)


def numbers(text):
    needed, available = re.search(r"needs (\d+) bytes, (\d+) bytes are available in", text).groups()
    return int(needed), int(available)


def test_a_session_that_does_not_fit(folder):
    script = """
said = [attempt(20_000)]
try:
    Curriculum(20_000, **{"session" if key == "name" else key: place[key] for key in place})
except SessionError as error:
    said.append(str(error))
left = os.listdir(folder)
fits = attempt(1000)
for i in range(1000):
    fits.update(i, 1.0)
print(json.dumps([said, left, fits.verify()["tasks"], fits.nbytes]))
fits.close()
"""
    said, left, tasks, nbytes = run_in_a_mebibyte(folder, script)
    assert len(said) == 2
    for text in said:
        needed, available = numbers(text)
        assert needed > MEBIBYTE
        assert 0.9 * MEBIBYTE < available <= MEBIBYTE
        assert f"available in {folder};" in text
        assert all(remedy in text for remedy in REMEDIES)
    assert numbers(said[0])[0] == Session(20_000, max_labels=12).nbytes
    assert left == []
    assert tasks == 1000
    assert nbytes < MEBIBYTE


def test_a_full_folder_does_no_harm_to_a_session_that_is_there(folder):
    # Every page of it is touched for the first time when there is no more memory to be had.
    script = """
session = attempt(400)
errno = fill()
for i in range(400):
    session.create(i, label=f"label-{i % 10}")
for _ in range(3):
    for i in range(400):
        session.update(i, 0.5)
    session.draw_many(1000)
found = session.verify()
session.close()
again = attempt(400)
said = again if isinstance(again, str) else again.verify()
print(json.dumps([errno, found, said, sorted(os.listdir(folder))]))
"""
    code, found, again, left = run_in_a_mebibyte(folder, script)
    assert code == errno.ENOSPC
    assert (found["tasks"], found["completions"], found["scheduled"]) == (400, 1200, 3000)
    if folder == "/dev/shm":
        # The last to leave gave its memory back, which is too little for another session once the
        # filler has a part of it.
        needed, available = numbers(again)
        assert available < needed
        assert left == ["filler"]
    else:
        # A path persists, memory and all.
        assert again == found
        assert left == ["filler", "small"]


def test_the_largest_session_that_fits_works_to_its_last_page(folder):
    script = """
fits, fails = 1, 20_000
while fails - fits > 1:
    middle = (fits + fails) // 2
    session = attempt(middle)
    if isinstance(session, str):
        fails, said = middle, session
    else:
        fits = middle
        session.close()
        del session
        if "path" in place:
            os.unlink(place["path"])
session = attempt(fits)
for i in range(fits):
    session.update(i, 0.5)
session.verify()
print(json.dumps([fits, session.nbytes, said]))
"""
    fits, nbytes, said = run_in_a_mebibyte(folder, script)
    needed, available = numbers(said)
    # Records come by the 128: eight to each of sixteen stripes.
    assert nbytes <= available < needed <= nbytes + 128 * 512
    assert fits > 1000


def test_a_limit_on_the_size_of_files(tmp_path):
    path, needed = tmp_path / "session", Session(20_000, max_labels=12).nbytes
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEBIBYTE, hard))
    try:
        with pytest.raises(SessionError, match=f"needs {needed} bytes") as caught:
            Session(20_000, max_labels=12, path=str(path))
        assert os.listdir(tmp_path) == []
        small = Session(1000, max_labels=12, path=str(path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert all(remedy in str(caught.value) for remedy in REMEDIES)
    small.close()


@pytest.fixture
def control_group():
    """A control group with 64 MiB, as a container has; the file that takes its processes."""
    version_1, version_2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    root = version_1 if version_1.is_dir() else version_2
    limit = "memory.limit_in_bytes" if root is version_1 else "memory.max"
    folder = root / f"curricle-test-{secrets.token_hex(8)}"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(64 * MEBIBYTE))
    except OSError as error:
        if folder.is_dir():
            folder.rmdir()
        pytest.skip(f"no control groups here: {error}")
    yield folder / "cgroup.procs"
    folder.rmdir()


def test_the_limit_of_a_container(control_group):
    name = f"test-{secrets.token_hex(8)}"
    script = """
import os, sys
from curricle._core import Session
from curricle.errors import SessionError

with open(sys.argv[1], "w") as group:
    group.write(str(os.getpid()))
for capacity in (1_000_000, 10_000):
    try:
        session = Session(capacity, name=sys.argv[2])
        session.update(1, 1.0)
        print(len(session))
    except SessionError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(control_group), name],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "PYTHONPATH": ":".join(filter(None, sys.path))},
    )
    assert (done.returncode, done.stderr) == (0, "")
    refusal, fits = done.stdout.splitlines()
    needed, available = numbers(refusal)
    assert available < 64 * MEBIBYTE < needed
    assert fits == "1"

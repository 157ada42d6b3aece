"""What only the backends of the core do: sessions, rules, capacity, names."""

import secrets

import pytest

from curricle._core import Rules
from curricle.backends import LocalMemoryBackend, SharedMemoryBackend, create_memory_backend
from curricle.config import LearningProgressConfig, UniformConfig
from curricle.errors import SessionError

BOUNDED = Rules(score_range=(0.0, 1.0), floor=0.1)


def test_two_handles_are_one_session():
    name = f"test-{secrets.token_hex(8)}"
    one, two = SharedMemoryBackend(8, name), SharedMemoryBackend(8, name)
    one.create(5, label="a")
    assert two.read_task(5).label == "a"
    two.update_score(5, 0.5)
    assert one.totals()["completions"] == 1
    assert one.name == two.session_id == name
    one.close()
    assert two.get_all_task_ids() == [5]
    two.close()


def test_a_late_comer_takes_the_rules_of_the_session():
    name = f"test-{secrets.token_hex(8)}"
    one = SharedMemoryBackend(8, name, rules=BOUNDED)
    one.allocate(8)
    two = SharedMemoryBackend(8, name)
    assert two.rules == BOUNDED
    three = SharedMemoryBackend(8, name, rules=Rules(floor=0.7))
    with pytest.raises(SessionError, match=r"floor|rules"):
        three.allocate(8)
    one.close()
    two.close()


def test_another_capacity_names_both():
    name = f"test-{secrets.token_hex(8)}"
    one = SharedMemoryBackend(8, name)
    one.allocate(8)
    with pytest.raises(SessionError, match=r"(?s)8.*9|9.*8"):
        SharedMemoryBackend(9, name).allocate(9)
    one.close()


@pytest.mark.parametrize("capacity", [0, -1, 2**40])
def test_a_capacity_out_of_range(capacity):
    with pytest.raises(ValueError, match=str(capacity)):
        LocalMemoryBackend(capacity).allocate(capacity)


def test_a_name_or_a_path(tmp_path):
    with pytest.raises(ValueError, match="not both"):
        SharedMemoryBackend(8, "name", path=str(tmp_path / "session"))
    backend = SharedMemoryBackend(8, path=str(tmp_path / "session"))
    backend.create(1)
    backend.close()
    again = SharedMemoryBackend(8, path=str(tmp_path / "session"))
    assert again.get_all_task_ids() == [1]
    again.close()


def test_the_environment_names_the_session(monkeypatch):
    name = f"test-{secrets.token_hex(8)}"
    monkeypatch.setenv("CURRICLE_SESSION", name)
    assert SharedMemoryBackend(8).name == name
    monkeypatch.delenv("CURRICLE_SESSION")
    assert SharedMemoryBackend(8).name != SharedMemoryBackend(8).name


def test_task_struct_size_warns():
    with pytest.warns(DeprecationWarning, match="task_struct_size"):
        LocalMemoryBackend(8, 17)


def test_an_open_session_does_not_grow():
    backend = LocalMemoryBackend(8)
    backend.allocate(8)
    with pytest.raises(ValueError, match="16"):
        backend.allocate(16)


def test_the_factory_follows_the_config():
    config = LearningProgressConfig(max_memory_tasks=50, num_active_tasks=20)
    backend = create_memory_backend(config)
    assert isinstance(backend, SharedMemoryBackend)
    assert (backend.name, backend.max_tasks) == (config.session_id, 50)
    assert backend.rules == config.rules()
    backend.close()
    local = create_memory_backend(UniformConfig(use_shared_memory=False))
    assert isinstance(local, LocalMemoryBackend)
    assert local.rules.as_dict()["law"] == "uniform"

"""State dicts with anything in them: loaded whole, or refused with nothing changed."""

import copy
import json
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curricle import LocalMemoryBackend
from curricle.compat.task_tracker import TaskTracker
from curricle.errors import CapacityError, CheckpointError
from test_compat_state import earlier_state

ANY = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=True, allow_infinity=True),
        st.text(max_size=12),
        st.sampled_from(["1", "nan", "\ud800", "x" * 200, 1e308, 2**63, 2**53 + 1, -0.0]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(state):
    """Each dict of the state with each of its keys."""
    found = [(state, key) for key in state]
    for tasks in (state["task_memory"], *state["task_memory"].values()):
        found += [(tasks, key) for key in tasks]
    return found


@st.composite
def spoilt(draw):
    state = copy.deepcopy(earlier_state())
    for _ in range(draw(st.integers(1, 4))):
        known = places(state) if isinstance(state.get("task_memory"), dict) else []
        known = [(owner, key) for owner, key in known if key in owner]
        if not known:
            break
        owner, key = draw(st.sampled_from(known))
        change = draw(st.sampled_from(["value", "value", "missing", "renamed", "added"]))
        if change == "value":
            owner[key] = draw(ANY)
        elif change == "added":
            owner[draw(st.one_of(st.text(max_size=6), st.integers(-5, 2**65)))] = draw(ANY)
        else:
            value = owner.pop(key)
            if change == "renamed":
                owner[str(key) + draw(st.text(max_size=2))] = value
        memory = state.get("task_memory")
        if not isinstance(memory, dict) or not all(isinstance(v, dict) for v in memory.values()):
            break
    return state


@given(state=st.one_of(spoilt(), ANY))
@settings(max_examples=400, deadline=None, derandomize=True)
def test_a_state_is_loaded_whole_or_refused(state):
    tracker = TaskTracker(8, backend=LocalMemoryBackend(8))
    tracker.update_task_performance(3, 0.5)
    tracker.set_task_label(3, "kept")
    before = (tracker.snapshot().tobytes(), tracker.totals(), tracker.label_totals())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tracker.load_state(state)
        except (CheckpointError, CapacityError):
            after = (tracker.snapshot().tobytes(), tracker.totals(), tracker.label_totals())
            assert repr(after) == repr(before)
        else:
            assert len(tracker) <= 8
            json.dumps(tracker.get_state(), allow_nan=False)
        tracker.verify()
        tracker.update_task_performance(3, 0.5)


def test_the_state_that_is_spoilt_is_a_good_one():
    tracker = TaskTracker(8, backend=LocalMemoryBackend(8))
    tracker.load_state(earlier_state())
    assert len(tracker) == len(earlier_state()["task_memory"])
    with pytest.raises(CheckpointError):
        tracker.load_state({"task_memory": {1: {"completion_count": -1}}})

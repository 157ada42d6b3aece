"""States of prompts: those of other prompts, and those that cannot be, change nothing."""

import numpy as np
import pytest

from curricle import CheckpointError, Curriculum, NoiseAwareConfig
from curricle.integrations.prompts import PromptLearnabilityConfig, Prompts

HERE = {"use_shared_memory": False}


def made(prompts=10, config=None, seed=0):
    return Prompts(Curriculum(prompts, config or PromptLearnabilityConfig(**HERE), seed=seed))


def observed(prompts):
    """With a draw that is observed and one that waits."""
    prompts.observe(prompts.draw(3), np.ones(3))
    prompts.draw(2)
    return prompts


def everything(prompts):
    state = prompts.state_dict()
    scheduled = prompts.curriculum.tracker.totals()["scheduled"]
    return prompts.curriculum.tracker.digest(), scheduled, state["waiting"], state["stream"]


def assert_refused(state, message):
    """A state is refused with a message, and nothing is changed."""
    prompts = observed(made())
    before = everything(prompts)
    with pytest.raises(CheckpointError, match=message):
        prompts.load_state_dict(state)
    assert everything(prompts) == before


@pytest.mark.parametrize(
    "others", [12, 8, [f"question {n}" for n in range(10)], {f"label {n}": n for n in range(10)}]
)
def test_a_state_of_other_prompts_is_refused(others):
    state = observed(made(others, seed=5)).state_dict()
    assert_refused(state, r"of other prompts: .* here are 10 tasks")


def test_prompts_that_were_edited_can_go_on_where_one_says_so():
    state = observed(made([f"question {n}" for n in range(10)])).state_dict()
    after = made([f"question {n}?" for n in range(11)])
    del state["prompts"]
    after.load_state_dict(state)
    assert after.waiting == state["waiting"]
    assert after.curriculum.tracker.totals()["completions"] == 3


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("stream", [1], r"stream of the state is \[1\]; it must be 4 words"),
        ("stream", [0, 0, 0, 0], "not all 0"),
        ("stream", [1, 2, 3, -4], r"stream\[3\] of the state is -4; it must be within \[0, "),
        ("stream", None, "stream of the state is a NoneType, and no list"),
        ("waiting", [3, 77], r"waiting\[1\] of the state is 77; it must be within \[0, 9\]"),
        ("waiting", [0.5], r"waiting\[0\] of the state is 0.5 \(float\); it must be an integer"),
        ("curriculum", "text", "curriculum of the state is a str, and no bytes"),
        ("curriculum", b"xx", "^the state's curriculum: this is no checkpoint"),
    ],
)
def test_a_state_that_cannot_be_changes_nothing(entry, value, message):
    state = observed(made(seed=5)).state_dict()
    assert_refused(state | {entry: value}, message)


@pytest.mark.parametrize("entry", ["stream", "waiting", "curriculum"])
def test_an_entry_that_is_missing_is_named(entry):
    state = observed(made(seed=5)).state_dict()
    del state[entry]
    assert_refused(state, f"the state has no '{entry}', only ")


def test_a_state_of_other_rules_is_loaded_with_a_warning_of_it():
    state = observed(made()).state_dict()
    other = made(config=NoiseAwareConfig(score_range=(0.0, 1.0), **HERE))
    with pytest.warns(RuntimeWarning, match="^the state's curriculum was saved under other rules"):
        other.load_state_dict(state)
    assert other.waiting == state["waiting"]

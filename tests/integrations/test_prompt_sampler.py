"""The sampler of PyTorch: what it draws, its state, and two processes with one curriculum."""

import itertools
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the sampler is PyTorch's")

import torch.distributed as dist  # noqa: E402
import torch.multiprocessing as mp  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from curricle import CheckpointError, Curriculum, NoiseAwareConfig  # noqa: E402
from curricle.integrations.prompts import PromptLearnabilityConfig  # noqa: E402
from curricle.integrations.prompts.sampler import PromptSampler  # noqa: E402

HERE = {"use_shared_memory": False}


def curriculum_of(size, seed=0, config=None):
    return Curriculum(size, config or NoiseAwareConfig(score_range=(0.0, 1.0), **HERE), seed=seed)


def test_a_data_loader_reads_by_it():
    prompts = [f"prompt {i}" for i in range(20)]
    sampler = PromptSampler(prompts, curriculum_of(20), batch_size=6)
    batches = list(DataLoader(prompts, batch_size=6, sampler=sampler))
    assert len(sampler) == 18
    assert [len(set(batch)) for batch in batches] == [6, 6, 6]
    assert sampler.prompts.curriculum.tracker.totals()["scheduled"] >= 18


def test_a_batch_is_drawn_by_what_was_observed_before():
    config = PromptLearnabilityConfig(rand_task_rate=0.0, **HERE)
    sampler = PromptSampler(range(8), curriculum_of(8, config=config), batch_size=4)
    indices = iter(sampler)
    first = list(itertools.islice(indices, 4))
    # As good as mastered: from now on the others are drawn.
    sampler.observe(torch.tensor(first), torch.full((4, 2), 1.0 - 1e-9, dtype=torch.float64))
    assert set(itertools.islice(indices, 4)) == set(range(8)) - set(first)


def test_with_replacement_a_prompt_may_come_twice():
    sampler = PromptSampler(range(4), curriculum_of(4), batch_size=4, replacement=True)
    assert min(len(set(sampler)) for _ in range(9)) < 4


@pytest.mark.parametrize("handed_out", [0, 4, 6, 20])
def test_a_state_goes_on_after_the_last_index(handed_out):
    before = PromptSampler(range(20), curriculum_of(20), batch_size=5)
    indices = iter(before)
    for at in range(handed_out):
        drawn = next(indices)
        before.observe([drawn], [at % 2])
    after = PromptSampler(range(20), curriculum_of(20, seed=7), batch_size=5)
    stored = before.state_dict()
    after.load_state_dict(stored)
    if 0 < handed_out < 20:
        assert list(after) == list(indices)
    for _ in range(2):
        whole = list(before)
        assert len(whole) == 20
        assert list(after) == whole


def test_bfloat16_rewards_are_taken():
    sampler = PromptSampler(range(4), curriculum_of(4), batch_size=2)
    ids = torch.tensor(list(itertools.islice(sampler, 2)))
    sampler.observe(ids, torch.tensor([[0.5, 1.0], [0.0, 0.0]], dtype=torch.bfloat16))
    stats = sampler.prompts.curriculum.tracker.get_task_stats(int(ids[0]))
    assert stats["mean_score"] == 0.75


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="5 prompts, but the curriculum has 4 tasks"):
        PromptSampler(range(5), curriculum_of(4))
    with pytest.raises(ValueError, match="batch_size=9 is more than the 4 prompts"):
        PromptSampler(range(4), curriculum_of(4), batch_size=9)
    with pytest.raises(ValueError, match="rank 0 has no curriculum"):
        PromptSampler(range(4), None)


def test_a_state_that_does_not_fit_changes_nothing():
    sampler = PromptSampler(range(10), curriculum_of(10), batch_size=2)
    indices = iter(sampler)
    next(indices)
    before = sampler.state_dict()
    state = PromptSampler(range(10), curriculum_of(10, seed=3), batch_size=2).state_dict()
    other = PromptSampler(range(12), curriculum_of(12), batch_size=2).state_dict()
    for wrong, message in (
        (state | {"queue": [10]}, r"queue\[0\] of the state is 10; it must be within \[0, 9\]"),
        (state | {"batches_left": 10**9}, r"batches_left of the state is .* within \[0, 10\]"),
        ({"curriculum": b""}, "the state has no 'batches_left', only"),
        (other, "of 12 tasks, 0 labels.* here are 10 tasks"),
    ):
        with pytest.raises(CheckpointError, match=message):
            sampler.load_state_dict(wrong)
        assert sampler.state_dict() == before


def test_a_state_of_smaller_batches_leaves_no_more_than_one_iteration():
    before = PromptSampler(range(10), curriculum_of(10), batch_size=1)
    next(iter(before))
    after = PromptSampler(range(10), curriculum_of(10), batch_size=5)
    after.load_state_dict(before.state_dict())
    assert len(list(after)) == 10


def met(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)


def one_with_a_fault(rank, folder):
    met(rank, folder)
    curriculum = curriculum_of(12) if rank == 0 else None
    sampler = PromptSampler(range(12), curriculum, batch_size=4)
    ids = list(itertools.islice(sampler, 4))
    mine, said = ids[rank::2], []
    faults = (
        (mine, [0.5, 9.0] if rank else [0.5, 0.5]),
        (mine, [[0.5, 0.5]] * 2 if rank else [0.5, 0.5]),
        (mine, [[0.5], [0.5, 0.5]] if rank else [0.5, 0.5]),
        ([ids[0], ids[0]] if rank else mine, [[0.5], [0.5]]),
    )
    for prompt_ids, rewards in faults:
        with pytest.raises((TypeError, ValueError)) as refused:
            sampler.observe(prompt_ids, rewards)
        said.append(f"{refused.type.__name__}: {refused.value}")
    sampler.observe(mine, [0.5, 0.5])
    if rank == 0:
        assert curriculum.tracker.totals()["completions"] == 4
        curriculum.tracker.backend.clear()
    with pytest.raises(ValueError, match="only 0 can be drawn") as empty:
        next(iter(sampler))
    said.append(str(empty.value))
    with open(f"{folder}/said-{rank}.json", "w") as file:
        json.dump([ids, said], file)
    dist.destroy_process_group()


def test_a_fault_of_one_rank_is_an_error_on_all(tmp_path):
    mp.start_processes(one_with_a_fault, (str(tmp_path),), nprocs=2, start_method="spawn")
    there, here = (json.loads((tmp_path / f"said-{rank}.json").read_text()) for rank in (0, 1))
    assert there == here
    ids, (outside, shapes, ragged, twice, empty) = here
    assert f"ValueError: rank 1: prompt {ids[3]} has a reward of 9.0;" in outside
    assert "rank 0 has (2,), rank 1 has (2, 2); give (n,) on all ranks" in shapes
    assert "rank 1: " in ragged
    assert f"prompt {ids[0]} is observed 2 times and 1 draws of it wait" in twice
    assert empty


def one_of_two(rank, folder):
    met(rank, folder)
    curriculum = curriculum_of(40) if rank == 0 else None
    sampler = PromptSampler(range(40), curriculum, batch_size=8)
    drawn = []
    indices = iter(sampler)
    for _ in range(4):
        batch = list(itertools.islice(indices, 8))
        drawn.append(batch)
        # Of each prompt four completions: of the first four rank 0 has one, of the others three.
        mine = batch[:4] + batch[4:] * 3 if rank == 0 else batch[:4] * 3 + batch[4:]
        sampler.observe(mine, np.full(len(mine), float(rank)))
    np.save(f"{folder}/drawn-{rank}.npy", drawn)
    if rank == 0:
        means = [[curriculum.tracker.get_task_stats(i)["last_score"] for i in b] for b in drawn]
        np.save(f"{folder}/means.npy", means)
        np.save(f"{folder}/completions.npy", curriculum.tracker.totals()["completions"])
    dist.destroy_process_group()


def test_two_processes_have_the_same_draws_and_one_score_a_prompt(tmp_path):
    mp.start_processes(one_of_two, (str(tmp_path),), nprocs=2, start_method="spawn")
    drawn = [np.load(tmp_path / f"drawn-{rank}.npy") for rank in (0, 1)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert np.load(tmp_path / "completions.npy") == 32
    # Groups are put together before they are reported: 3/4 and 1/4, whatever the rank.
    last = {i: 0.75 if at < 4 else 0.25 for batch in drawn[0] for at, i in enumerate(batch)}
    for batch, means in zip(drawn[0], np.load(tmp_path / "means.npy"), strict=True):
        assert means.tolist() == [last[i] for i in batch]

"""verl's curriculum sampler, against the real interface of verl 0.7 (`pip install --no-deps`)."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip(
    "verl.experimental.dataset.sampler",
    reason="no verl below 0.8 with a curriculum sampler is installed",
    exc_type=ImportError,
)

from datasets import Dataset  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402
from torchdata.stateful_dataloader import StatefulDataLoader  # noqa: E402
from verl import DataProto  # noqa: E402
from verl.experimental.dataset.sampler import AbstractCurriculumSampler  # noqa: E402

from curricle import Curriculum  # noqa: E402
from curricle.integrations.prompts import PromptLearnabilityConfig  # noqa: E402
from curricle.integrations.verl import CurriculumSampler  # noqa: E402

SIZE, BATCH, COMPLETIONS = 20, 4, 3
CONFIG = OmegaConf.create({"train_batch_size": BATCH, "seed": 5, "dataloader_num_workers": 0})


class Rows(torch.utils.data.Dataset):
    """What verl's dataset is to a sampler: rows in a ``dataframe``, numbered as before a filter."""

    def __init__(self, numbers):
        self.dataframe = Dataset.from_list([{"extra_info": {"index": n}} for n in numbers])

    def __len__(self):
        return len(self.dataframe)

    def __getitem__(self, place):
        return self.dataframe[place]


def rows():
    return Rows([100 + 2 * place for place in range(SIZE)])


def step_of(batch, scores):
    """A batch as verl's trainer has it when a step is done: completions in any order."""
    at = np.random.default_rng(0).permutation(len(batch) * COMPLETIONS)
    info = np.repeat(np.array(batch, dtype=object), COMPLETIONS)[at]
    tokens = torch.zeros(len(at), 6)
    tokens[:, 3] = torch.tensor(np.repeat(scores, COMPLETIONS)[at])
    return DataProto.from_single_dict({"token_level_scores": tokens, "extra_info": info})


def loader_of(sampler):
    return StatefulDataLoader(
        rows(),
        batch_size=BATCH,
        sampler=sampler,
        drop_last=True,
        num_workers=0,
        collate_fn=lambda batch: [row["extra_info"] for row in batch],
    )


def test_scores_come_to_the_prompts_that_were_drawn():
    sampler = CurriculumSampler(data_source=rows(), data_config=CONFIG)
    assert isinstance(sampler, AbstractCurriculumSampler)
    tracker = sampler.prompts.curriculum.tracker
    drawn = []
    for batch in loader_of(sampler):
        places = [(info["index"] - 100) // 2 for info in batch]
        assert len(set(places)) == BATCH
        sampler.update(batch=step_of(batch, [0.0, 0.25, 0.5, 1.0]))
        drawn += places
        assert [tracker.get_task_stats(p)["last_score"] for p in places] == [0.0, 0.25, 0.5, 1.0]
    assert len(drawn) == SIZE
    assert tracker.totals()["completions"] == SIZE


def test_a_stateful_data_loader_goes_on_with_the_same_draws():
    def play(loader, sampler, steps):
        played = []
        for batch in itertools.islice(loader, steps):
            sampler.update(batch=step_of(batch, np.linspace(0.0, 1.0, BATCH)))
            played.append([info["index"] for info in batch])
        return played

    sampler = CurriculumSampler(rows(), CONFIG)
    loader = loader_of(sampler)
    steps = iter(loader)
    play(steps, sampler, 2)
    state = loader.state_dict()
    rest = play(steps, sampler, 3)
    other = CurriculumSampler(rows(), OmegaConf.merge(CONFIG, {"seed": 6}))
    resumed = loader_of(other)
    resumed.load_state_dict(state)
    assert play(resumed, other, 9) == rest
    assert len(rest) == 3


def test_another_curriculum_is_a_subclass():
    class Learnable(CurriculumSampler):
        def make_curriculum(self, num_prompts, seed):
            return Curriculum(num_prompts, PromptLearnabilityConfig(), seed=seed)

    sampler = Learnable(rows(), CONFIG)
    assert isinstance(sampler.prompts.curriculum.algorithm.hypers, PromptLearnabilityConfig)
    assert sampler.prompts.curriculum.seed == 5


@pytest.mark.parametrize("numbers", [[1, 2, 2, 3], [1, None, 2, 3]])
def test_rows_that_cannot_be_told_apart_are_refused(numbers):
    with pytest.raises(ValueError, match="number the rows"):
        CurriculumSampler(Rows(numbers), CONFIG)

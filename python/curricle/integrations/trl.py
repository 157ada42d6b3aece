"""GRPO of TRL with a curriculum over its prompts (TRL 1.16)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR
from trl import GRPOTrainer

from curricle.curriculum import Curriculum
from curricle.integrations.prompts import Prompts
from curricle.integrations.prompts.sampler import PromptSampler

# Column of the dataset and keyword of reward functions.
PROMPT_ID = "curricle_prompt_id"
_STATE = "curricle_prompts.pt"


class RepeatedPromptSampler(PromptSampler):
    """Draws prompts in the layout of TRL's ``RepeatSampler``.

    The prompts of a generation batch are different ones. A state goes on with the generation
    batches whose rewards are still to come, as those that a data loader had read ahead were never
    generated.

    Args:
        data_source: the prompts.
        curriculum: on rank 0.
        batch_size: prompts of a generation batch.
        mini_repeat_count: times that each prompt comes in a row.
        repeat_count: times that each generation batch comes.
    """

    def __init__(
        self,
        data_source: Any,
        curriculum: Curriculum | None,
        batch_size: int,
        mini_repeat_count: int,
        repeat_count: int,
    ) -> None:
        super().__init__(data_source, curriculum, batch_size)
        self.mini_repeat_count = mini_repeat_count
        self.repeat_count = repeat_count
        self._again: list[int] = []

    def __len__(self) -> int:
        """Indices of one iteration."""
        return super().__len__() * self.mini_repeat_count * self.repeat_count

    def __iter__(self) -> Iterator[int]:
        """Indices of one iteration, which is as many draws as there are prompts."""
        for _ in range(self._batches):
            batch = self._draw()
            for _ in range(self.repeat_count):
                for prompt_id in batch:
                    for _ in range(self.mini_repeat_count):
                        yield prompt_id

    def state_dict(self) -> dict[str, Any]:
        """`Prompts.state_dict` on rank 0, nothing elsewhere."""
        return {} if self.prompts is None else self.prompts.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on with the generation batches that wait for rewards; of rank 0 alone."""
        if self.prompts is not None:
            self.prompts.load_state_dict(state)
            self._again = self.prompts.waiting

    def _next_batch(self, prompts: Prompts) -> list[int]:
        if not self._again:
            return super()._next_batch(prompts)
        batch, self._again = self._again[: self.batch_size], self._again[self.batch_size :]
        return batch


class CurriculumGRPOTrainer(GRPOTrainer):  # type: ignore[misc]
    """TRL's ``GRPOTrainer``, whose prompts a curriculum draws.

    The prompts of a generation batch are drawn by the curriculum in place of a shuffle, and when
    its completions have their rewards, each prompt's mean reward (of all reward functions, by
    their weights) is reported, once. Evaluation counts nowhere. A checkpoint of the trainer has
    the curriculum in it, and ``train(resume_from_checkpoint=...)`` goes on with its next draws.

    Rank 0 has the curriculum, and all ranks get its draws. An epoch is as many draws as there are
    prompts. Reward functions get the prompts' numbers as ``curricle_prompt_id``.

    Args:
        *args: those of ``GRPOTrainer``.
        curriculum: one task for each row of the training set; ``None`` will do on ranks other
            than 0.
        **kwargs: those of ``GRPOTrainer``; ``train_dataset`` is a ``datasets.Dataset``.

    Raises:
        TypeError: a training set that cannot be indexed.
        ValueError: not one task for each row, or a generation batch of more prompts than there
            are; ``dispatch_batches``, by which rank 0 alone reads.
    """

    def __init__(
        self, *args: Any, curriculum: Curriculum | None, train_dataset: Any, **kwargs: Any
    ) -> None:
        if not isinstance(train_dataset, Dataset):
            raise TypeError(
                f"train_dataset is a {type(train_dataset).__name__}; give a datasets.Dataset, as a "
                "curriculum draws its rows in any order"
            )
        numbered = train_dataset.add_column(PROMPT_ID, np.arange(len(train_dataset)))
        super().__init__(*args, train_dataset=numbered, **kwargs)
        if self.accelerator.dispatch_batches:
            raise ValueError(
                "dispatch_batches=True has rank 0 read for all; leave it out, as every rank takes "
                "part in a draw"
            )
        prompts = self.args.generation_batch_size // self.num_generations
        if prompts > len(numbered):
            raise ValueError(
                f"a generation batch is of {prompts} prompts (generation_batch_size="
                f"{self.args.generation_batch_size} by num_generations={self.num_generations}), "
                f"but train_dataset has {len(numbered)} rows: take a smaller "
                "per_device_train_batch_size or steps_per_generation, whose product over all ranks "
                "generation_batch_size is, more num_generations, or more rows"
            )
        # To skip batches, the trainer would draw them.
        self.args.ignore_data_skip = True
        self.prompt_sampler = RepeatedPromptSampler(
            numbered,
            curriculum,
            prompts,
            self.num_generations,
            self.num_iterations * self.args.steps_per_generation,
        )

    def _get_train_sampler(self, dataset: Any = None) -> RepeatedPromptSampler:
        return self.prompt_sampler

    def _calculate_rewards(
        self, inputs: Any, prompts: Any, completions: Any, completion_ids_list: Any
    ) -> torch.Tensor:
        of_all_ranks = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        if self.model.training:
            first = self.accelerator.process_index * len(prompts)
            each = of_all_ranks[first : first + len(prompts)]
            total = (each * self.reward_weights.to(each.device)).nansum(dim=1)
            # What no function could judge has no reward.
            total[each.isnan().all(dim=1)] = torch.nan
            self.prompt_sampler.observe([row[PROMPT_ID] for row in inputs], total)
        return of_all_ranks

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        if self.is_world_process_zero() and not self.args.save_only_model:
            folder = Path(self._get_output_dir(trial=trial))
            checkpoint = folder / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
            torch.save(self.prompt_sampler.state_dict(), checkpoint / _STATE)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        # The one step of resuming that every backend goes through.
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None or not self.is_world_process_zero():
            return
        path = Path(checkpoint, _STATE)
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is not there: the checkpoint was saved without its curriculum, or with "
                "save_only_model; train on from its model instead"
            )
        self.prompt_sampler.load_state_dict(torch.load(path, weights_only=True))

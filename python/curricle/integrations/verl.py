"""The curriculum sampler of verl (up to 0.7; later versions ask for none)."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any

from verl import DataProto
from verl.experimental.dataset.sampler import AbstractCurriculumSampler

from curricle.config import NoiseAwareConfig
from curricle.curriculum import Curriculum
from curricle.integrations.prompts.sampler import PromptSampler


class CurriculumSampler(PromptSampler, AbstractCurriculumSampler):  # type: ignore[misc]
    """Draws the prompts of each step of verl and takes their scores when the step is done.

    verl makes it, where its configuration says ``data.sampler.class_path=pkg://THIS_MODULE``,
    ``data.sampler.class_name=CurriculumSampler`` and ``data.dataloader_num_workers=0``. For another
    curriculum, name a subclass with a `make_curriculum` of its own. Its state is in verl's
    checkpoints of the data loader.

    Args:
        data_source: verl's dataset; each row has a number of its own, ``extra_info["index"]``, as
            verl's scripts of data preparation give it.
        data_config: verl's ``data``; ``gen_batch_size`` or ``train_batch_size`` are the prompts
            that are drawn at once, and ``seed`` is that of the draws.

    Raises:
        ValueError: rows without a number, or with the same.
    """

    def __init__(self, data_source: Sized, data_config: Any) -> None:
        # The number of a row need not be its place: verl filters prompts that are too long.
        self._places = _places(data_source)
        size = data_config.get("gen_batch_size") or data_config["train_batch_size"]
        seed = data_config.get("seed")
        curriculum = self.make_curriculum(len(data_source), 0 if seed is None else seed)
        super().__init__(data_source, curriculum, size)

    def make_curriculum(self, num_prompts: int, seed: int) -> Curriculum:
        """The curriculum; here of noise-aware learning progress over rewards of [0, 1]."""
        return Curriculum(num_prompts, NoiseAwareConfig(score_range=(0.0, 1.0)), seed=seed)

    def update(self, batch: DataProto) -> None:
        """Reports each prompt's mean score, that of ``token_level_scores``.

        Args:
            batch: of one step; ``token_level_scores`` has shape (n, length), and
                ``extra_info`` shape (n,).
        """
        rows = batch.non_tensor_batch["extra_info"]
        scores = batch.batch["token_level_scores"].sum(dim=-1)
        self.observe([self._places[row["index"]] for row in rows], scores)


def _places(data_source: Any) -> dict[Any, int]:
    """Place in the dataset by number of the row."""
    numbers = [(row or {}).get("index") for row in data_source.dataframe["extra_info"]]
    places = {number: place for place, number in enumerate(numbers)}
    if len(places) < len(numbers) or None in places:
        raise ValueError(
            f"{len(numbers)} rows have {len(places.keys() - {None})} different values of "
            'extra_info["index"]; number the rows when you prepare the data, as scores are '
            "reported by it"
        )
    return places

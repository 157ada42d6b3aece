"""TRL's GRPO trainer with a curriculum, on a model made here: layout, rewards, resuming, ranks."""

import json
import math
import os
import re
import socket

import pytest

REASON = "TRL is not installed"
torch = pytest.importorskip("torch", reason=REASON)
pytest.importorskip("trl", reason=REASON)

import torch.multiprocessing as mp  # noqa: E402
from datasets import Dataset, IterableDataset  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: E402
from trl import GRPOConfig  # noqa: E402
from trl.trainer.utils import RepeatSampler  # noqa: E402

from curricle import CheckpointError, Curriculum, NoiseAwareConfig  # noqa: E402
from curricle.integrations.trl import (  # noqa: E402
    PROMPT_ID,
    CurriculumGRPOTrainer,
    RepeatedPromptSampler,
)
from example_runs import run_example  # noqa: E402

PROMPTS = 24
GENERATIONS = 4


def a_curriculum(size=PROMPTS):
    config = NoiseAwareConfig(score_range=(0.0, 1.0), use_shared_memory=False)
    return Curriculum(size, config, seed=0)


def a_model():
    torch.set_num_threads(1)
    words = {"<pad>": 0, "<eos>": 1} | {str(n): n + 2 for n in range(PROMPTS)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<eos>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=1,
        eos_token_id=1,
        pad_token_id=0,
    )
    processing_class = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>"
    )
    return LlamaForCausalLM(config), processing_class


def a_dataset(prompts=PROMPTS):
    return Dataset.from_dict({"prompt": [str(n) for n in range(prompts)]})


def by_prompt(prompt_id, nth):
    """A reward that does not depend on what was generated, so that runs can be compared."""
    return float((prompt_id + nth) % 3 == 0)


def is_unjudged(prompt_id, nth):
    """Whether no reward function says anything of a completion; `half` leaves out each second."""
    return nth == 1 and prompt_id % 2 == 0


def trainer_of(folder, seen, curriculum, prompts=PROMPTS, **changes):
    def reward(prompts, completions, **columns):
        assert prompts == [str(prompt_id) for prompt_id in columns[PROMPT_ID]]
        seen.append(columns[PROMPT_ID])
        return [
            None if is_unjudged(n, at % GENERATIONS) else by_prompt(n, at % GENERATIONS)
            for at, n in enumerate(columns[PROMPT_ID])
        ]

    def half(completions, **columns):
        return [None if at % GENERATIONS == 1 else 0.5 for at in range(len(completions))]

    options = {
        "max_steps": 6,
        "per_device_train_batch_size": 8,
        "num_generations": GENERATIONS,
        "steps_per_generation": 2,
        "num_iterations": 1,
        "max_completion_length": 3,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": [],
        "save_strategy": "no",
        "logging_strategy": "no",
        "disable_tqdm": True,
        "reward_weights": [0.8, 0.4],
    }
    model, processing_class = a_model()
    return CurriculumGRPOTrainer(
        model,
        [reward, half],
        args=GRPOConfig(output_dir=str(folder), **(options | changes)),
        train_dataset=a_dataset(prompts),
        eval_dataset=a_dataset(),
        processing_class=processing_class,
        curriculum=curriculum,
    )


def mean_reward(prompt_id):
    """That of both functions, by their weights, over the completions that any of them judged."""
    judged = [nth for nth in range(GENERATIONS) if not is_unjudged(prompt_id, nth)]
    total = sum(0.8 * by_prompt(prompt_id, nth) + 0.2 * (nth != 1) for nth in judged)
    return total / len(judged)


def test_the_layout_is_that_of_trl():
    ours = RepeatedPromptSampler(range(14), a_curriculum(14), 4, 3, 2)
    drawn = list(ours)
    theirs = RepeatSampler(range(14), 3, batch_size=4, repeat_count=2, shuffle=False)
    assert len(ours) == len(theirs) == len(drawn)
    for at in range(0, len(drawn), 4 * 3 * 2):
        batch = drawn[at : at + 24 : 3][:4]
        assert len(set(batch)) == 4
        layout = [batch.index(n) for n in drawn[at : at + 24]]
        assert layout == list(theirs)[:24]


@pytest.mark.parametrize("changes", [{}, {"num_iterations": 2}, {"steps_per_generation": 1}])
def test_each_draw_is_reported_once(tmp_path, changes):
    seen = []
    curriculum = a_curriculum()
    trainer = trainer_of(tmp_path, seen, curriculum, **changes)
    trainer.train()
    groups = [ids[::GENERATIONS] for ids in seen]
    for ids, group in zip(seen, groups, strict=True):
        assert len(set(group)) == len(group)
        assert ids == [n for n in group for _ in range(GENERATIONS)]
    reuses = trainer.args.steps_per_generation * trainer.num_iterations
    assert len(groups) == math.ceil(6 / reuses)
    drawn = [n for group in groups for n in group]
    totals = curriculum.tracker.totals()
    assert totals["completions"] == len(drawn)
    assert totals["score_sum"] == pytest.approx(sum(mean_reward(n) for n in drawn), abs=1e-5)


def test_evaluation_counts_nowhere(tmp_path):
    seen = []
    curriculum = a_curriculum()
    model_trainer = trainer_of(tmp_path, seen, curriculum)
    # The prompts of an evaluation have no numbers.
    model_trainer.reward_funcs = [lambda completions, **_: [1.0] * len(completions)] * 2
    model_trainer.evaluate()
    assert curriculum.tracker.totals()["completions"] == 0


@pytest.mark.parametrize("stop", [2, 3])
def test_a_resumed_run_draws_what_the_other_would_have(tmp_path, stop):
    whole, first, second = [], [], []
    trainer_of(tmp_path / "whole", whole, a_curriculum(), max_steps=8).train()
    saving = {"save_strategy": "steps", "save_steps": stop}
    trainer_of(tmp_path / "parts", first, a_curriculum(), max_steps=stop, **saving).train()
    curriculum = a_curriculum()
    resumed = trainer_of(tmp_path / "parts", second, curriculum, max_steps=8)
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == 8
    # Where it was stopped amid a generation batch, what was left of that is not generated again.
    shared = len(whole) - len(first)
    assert second[:shared] == whole[len(first) :]
    batches = len(first) + len(second)
    assert curriculum.tracker.totals()["completions"] == batches * len(set(whole[0]))


def test_a_checkpoint_of_other_prompts_is_refused(tmp_path):
    saving = {"save_strategy": "steps", "save_steps": 1, "max_steps": 1}
    trainer_of(tmp_path, [], a_curriculum(), **saving).train()
    resumed = trainer_of(tmp_path, [], a_curriculum(20), prompts=20)
    with pytest.raises(CheckpointError, match=r"of 24 tasks.* here are 20 tasks"):
        resumed.train(resume_from_checkpoint=True)


def test_too_few_prompts_are_refused_by_the_settings_that_need_more(tmp_path):
    with pytest.raises(
        ValueError,
        match=r"of 4 prompts \(generation_batch_size=16 by num_generations=4\).* has 3 rows",
    ):
        trainer_of(tmp_path, [], a_curriculum(3), prompts=3)


def test_what_cannot_be_drawn_from_is_refused(tmp_path):
    with pytest.raises(ValueError, match="24 prompts, but the curriculum has 5 tasks"):
        trainer_of(tmp_path, [], a_curriculum(5))
    model, processing_class = a_model()
    with pytest.raises(TypeError, match=r"IterableDataset; give a datasets\.Dataset"):
        CurriculumGRPOTrainer(
            model,
            lambda completions, **_: [0.0],
            train_dataset=IterableDataset.from_generator(lambda: iter([{"prompt": "1"}])),
            processing_class=processing_class,
            curriculum=a_curriculum(),
        )


def test_the_example_learns_and_leaves_the_riddles(tmp_path):
    out = run_example("trl_grpo.py", folder=tmp_path)
    groups = {}
    for kind, count, reward in re.findall(r"(\w+) +(\d+) groups, mean reward (.+)", out):
        groups[kind] = int(count), float(reward)
    assert groups["riddle"][1] == 0.0
    assert groups["same"][1] > 0.4, "a tenth is what guessing gives"
    assert groups["riddle"][0] < 0.25 * sum(count for count, _ in groups.values())


def one_of_two(rank, folder, port):
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    seen = []
    curriculum = a_curriculum() if rank == 0 else None
    # Six completions a process: groups of four lie across both.
    trainer = trainer_of(
        f"{folder}/run", seen, curriculum, per_device_train_batch_size=3, max_steps=4
    )
    trainer.train()
    with open(f"{folder}/seen-{rank}.json", "w") as file:
        totals = curriculum.tracker.totals() if curriculum else None
        json.dump([seen, totals], file)
    torch.distributed.destroy_process_group()


def test_two_ranks_share_the_draws(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.start_processes(one_of_two, (str(tmp_path), port), nprocs=2, start_method="spawn")
    (here, totals), (there, _) = (
        json.loads((tmp_path / f"seen-{rank}.json").read_text()) for rank in (0, 1)
    )
    together = [a + b for a, b in zip(here, there, strict=True)]
    assert len(together) == 2
    for ids in together:
        group = ids[::GENERATIONS]
        assert len(set(group)) == 3
        assert ids == [n for n in group for _ in range(GENERATIONS)]
    assert totals["completions"] == 6

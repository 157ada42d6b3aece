"""GRPO with a curriculum over prompts, by TRL, on a model of two layers: seconds on a CPU.

Each prompt is a kind of question and a digit. "same" asks for the digit, "next" for the one after
it; "riddle" has no answer. Needs: pip install 'curricle[trl]'.
"""

from argparse import ArgumentParser, RawDescriptionHelpFormatter

import torch
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
from trl import GRPOConfig

from curricle import Curriculum
from curricle.integrations.prompts import PromptLearnabilityConfig
from curricle.integrations.trl import CurriculumGRPOTrainer

KINDS = ("same", "next", "riddle")
DIGITS = 10


def tokenizer():
    words = ["<pad>", "<eos>", *map(str, range(DIGITS)), *KINDS]
    model = models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<pad>")
    made = Tokenizer(model)
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<pad>", eos_token="<eos>")


def reward(completions, answer, **_):
    said = [completion.split()[:1] for completion in completions]
    return [float(word == [right]) for word, right in zip(said, answer, strict=True)]


def main():
    torch.manual_seed(0)
    rows = [(kind, digit) for kind in KINDS for digit in range(DIGITS)] * 4
    answers = {"same": 0, "next": 1}
    dataset = Dataset.from_dict(
        {
            "prompt": [f"{kind} {digit}" for kind, digit in rows],
            "answer": [
                str((digit + answers[kind]) % DIGITS) if kind in answers else "none"
                for kind, digit in rows
            ],
        }
    )
    words = tokenizer()
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    ids = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 1}
    llama = LlamaConfig(vocab_size=len(words), num_attention_heads=4, **size, **ids)
    args = GRPOConfig(
        output_dir="runs/trl_grpo",
        max_steps=200,
        per_device_train_batch_size=128,
        num_generations=8,
        max_completion_length=1,
        learning_rate=3e-3,
        use_cpu=True,
        bf16=False,
        logging_steps=50,
        report_to=[],
    )
    # One task for each row; its label is what the metrics are kept by.
    tasks = [{"label": kind} for kind, _ in rows]
    with Curriculum(tasks, PromptLearnabilityConfig(), seed=0) as curriculum:
        trainer = CurriculumGRPOTrainer(
            LlamaForCausalLM(llama), reward, args=args, train_dataset=dataset,
            processing_class=words, curriculum=curriculum,
        )  # fmt: skip
        trainer.train()
        for kind, totals in curriculum.label_totals().items():
            mean = totals["score_sum"] / totals["completions"]
            print(f"{kind:7}{totals['completions']:5.0f} groups, mean reward {mean:.2f}")


if __name__ == "__main__":
    ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter).parse_args()
    main()

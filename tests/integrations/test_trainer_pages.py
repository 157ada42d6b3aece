"""The blocks of code in the pages on trainers and on prompts run, each with its real package."""

import re
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from example_runs import ROOT, run_python

COMMON = """
import gymnasium as gym
from functools import partial
from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig
tasks = {f"length {n}": {"length": n, "polemass_length": 0.1 * n} for n in (0.1, 0.5, 2.0)}
"""


GRPO = (
    "'out', num_generations=2, per_device_train_batch_size=4, max_steps=1, use_cpu=True,"
    "max_completion_length=2, report_to='none', save_strategy='no'"
)


class Around(NamedTuple):
    """What a page leaves to its reader: imports, names and sizes, and what is done with it all."""

    needs: str = "curricle"
    before: str = ""
    after: str = ""
    smaller: tuple[tuple[str, str], ...] = ()


BLOCKS = {
    "integrations.md": {
        "Gymnasium vector environments, in the manner of CleanRL": Around(
            after="envs.reset(seed=0); envs.step(envs.action_space.sample()); envs.close()"
        ),
        "Stable-Baselines3": Around(
            "stable_baselines3",
            """
            from stable_baselines3 import PPO
            from stable_baselines3.common.env_util import make_vec_env
            from stable_baselines3.common.vec_env import SubprocVecEnv
            from curricle.integrations.sb3 import CurriculumCallback
            """,
            "envs.close()",
            (
                ("    4,\n", "    2,\n"),
                (
                    'PPO("MlpPolicy", envs).learn(100_000',
                    'PPO("MlpPolicy", envs, n_steps=64).learn(1',
                ),
            ),
        ),
        "PettingZoo with SuperSuit": Around(
            "supersuit",
            """
            import supersuit
            from curricle.assembly_lines import AssemblyLinesConfig, AssemblyLinesParallelEnv
            from curricle.envs import CurriculumParallelEnv
            from curricle.integrations.supersuit import FinalInfos
            tasks = [AssemblyLinesConfig(num_agents=2, seed=seed) for seed in range(4)]
            make_team = partial(AssemblyLinesParallelEnv, tasks[0])
            """,
            "envs.reset(); envs.step([0] * 32); envs.close()",
        ),
        "TorchRL": Around(
            "torchrl",
            """
            from torchrl.collectors import Collector
            from torchrl.envs import GymWrapper, ParallelEnv
            policy = None
            """,
            "next(iter(collector)); collector.shutdown()",
            (("frames_per_batch=1024", "frames_per_batch=64"),),
        ),
        "PufferLib": Around(
            "pufferlib",
            """
            import pufferlib, pufferlib.emulation, pufferlib.vector
            from curricle.integrations.pufferlib import EpisodeInfos
            """,
            """
            envs.reset(); envs.step(envs.action_space.sample()); envs.close()
            for process in envs.processes: process.join()
            """,
            (('"num_workers": 2', '"num_workers": 2, "overwork": True'),),
        ),
        "RLlib": Around(
            "ray",
            """
            from ray.rllib.algorithms.ppo import PPOConfig
            from curricle.integrations.rllib import CurriculumCallback, register_curriculum_env
            """,
            """
            config.env_runners(num_env_runners=0).training(train_batch_size=64, minibatch_size=64)
            algorithm = config.build_algo()
            algorithm.train()
            algorithm.stop()
            """,
        ),
        "Ray": Around(
            "ray",
            """
            from curricle.integrations.ray import RayExchange
            rank, world_size, rollouts = 0, 1, 2
            def play(curriculum):
                curriculum.report(curriculum.draw().ticket, 1.0)
            """,
        ),
    },
    "prompts.md": {
        "Any trainer": Around(after="curriculum = prompts.curriculum"),
        "TRL": Around(
            "trl",
            """
            from test_trl import a_dataset, a_model
            from trl import GRPOConfig
            dataset, model = a_dataset(), "model"
            for part in a_model(): part.save_pretrained(model)
            reward_funcs = [lambda completions, **_: [float(len(c) % 2) for c in completions]]
            """,
            smaller=(("GRPOConfig(...)", f"GRPOConfig({GRPO})"),),
        ),
    },
}


def blocks_of(page):
    """Blocks of Python by the heading that they stand under."""
    found = {}
    for section in re.split(r"^##+ ", (ROOT / "docs" / page).read_text(), flags=re.M):
        code = re.findall(r"^```py(?:thon)?\n(.*?)^```", section, re.S | re.M)
        if code:
            found[section.partition("\n")[0]] = "\n".join(code)
    return found


CASES = [(page, heading) for page, sections in BLOCKS.items() for heading in sections]


@pytest.mark.parametrize("page", BLOCKS)
def test_every_block_of_the_page_is_tried(page):
    assert blocks_of(page).keys() == BLOCKS[page].keys()


@pytest.mark.parametrize(("page", "heading"), CASES, ids=[heading for _, heading in CASES])
def test_the_block_runs(page, heading, tmp_path):
    around = BLOCKS[page][heading]
    if find_spec(around.needs) is None:
        pytest.skip(f"{around.needs} is not installed")
    before, after = textwrap.dedent(around.before), textwrap.dedent(around.after)
    code = blocks_of(page)[heading]
    for number, smaller in around.smaller:
        assert number in code
        code = code.replace(number, smaller)
    played = "assert curriculum.tracker.totals()['scheduled'] > 0; curriculum.close()"
    body = textwrap.indent("\n".join([COMMON, before, code, after, played]), "    ")
    script = tmp_path / "page.py"
    script.write_text(f"if __name__ == '__main__':\n{body}")
    run_python(script, folder=tmp_path, importable=[Path(__file__).parent, ROOT / "tests"])

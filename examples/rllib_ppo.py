"""PPO of RLlib on cart-poles of many lengths, with a curriculum in two env runners.

    pip install 'curricle[rllib]'
    python examples/rllib_ppo.py --iterations 40 --folder runs/rllib

Run it again with the same folder, and it goes on where it ended, tasks and agent alike.
"""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from pathlib import Path

import gymnasium as gym
import ray
from ray.rllib.algorithms.ppo import PPO, PPOConfig

from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig
from curricle.integrations.rllib import CurriculumCallback, register_curriculum_env

# CartPole keeps the product of mass (0.1) and length beside the length.
TASKS = {
    f"length {length}": {"length": length, "polemass_length": 0.1 * length}
    for length in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
}


def make_env(curriculum: Curriculum, context: dict) -> gym.Env:
    """One environment; its time limit is inside the wrapper, as it should be."""
    return CurriculumEnv(gym.make("CartPole-v1"), curriculum, apply="attributes")


def main(iterations: int, folder: Path) -> None:
    """Trains and saves.

    Args:
        iterations: of training, with 2,048 environment steps each.
        folder: where the algorithm and the curriculum are kept.
    """
    agent, curriculum_file = folder.resolve() / "algorithm", folder / "curriculum.ckpt"
    ray.init(num_cpus=3, include_dashboard=False)
    with Curriculum(TASKS, NoiseAwareConfig(score_range=(0.0, 500.0)), seed=0) as curriculum:
        register_curriculum_env("cart-poles", make_env, curriculum)
        if curriculum_file.exists():
            curriculum.load(str(curriculum_file))
            algorithm = PPO.from_checkpoint(str(agent))
        else:
            config = PPOConfig().environment("cart-poles").callbacks(CurriculumCallback)
            config.env_runners(num_env_runners=2, num_envs_per_env_runner=4)
            config.training(train_batch_size=2048, minibatch_size=256, num_epochs=8, lr=5e-4)
            algorithm = config.build_algo()
        for _ in range(iterations):
            result = algorithm.train()
            score = result["curriculum"].get("score", float("nan"))
            print(f"{result['num_env_steps_sampled_lifetime']:8.0f} steps, mean return {score:.1f}")
        algorithm.save_to_path(agent)
        curriculum.save(str(curriculum_file))
        algorithm.stop()
        for label, totals in curriculum.label_totals().items():
            mean = totals["score_sum"] / max(totals["completions"], 1)
            print(f"{label:12} {totals['completions']:5.0f} episodes, mean return {mean:.1f}")
    ray.shutdown()


if __name__ == "__main__":
    parser = ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--iterations", type=int, default=40, help="of training, 2,048 steps each")
    parser.add_argument("--folder", type=Path, default="runs/rllib", help="goes on from it")
    main(**vars(parser.parse_args()))

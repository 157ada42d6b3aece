"""PPO of Stable-Baselines3 on cart-poles of many lengths, with a curriculum in four workers.

    pip install 'curricle[sb3]'
    python examples/sb3_ppo.py --steps 100000 --folder runs/sb3

Run it again with the same folder, and it goes on where it ended, tasks and agent alike.
"""

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from pathlib import Path

from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import SubprocVecEnv

from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig
from curricle.integrations.sb3 import CurriculumCallback

# CartPole keeps the product of mass (0.1) and length beside the length.
TASKS = {
    f"length {length}": {"length": length, "polemass_length": 0.1 * length}
    for length in (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
}


def main(steps: int, folder: Path) -> None:
    """Trains and saves.

    Args:
        steps: environment steps of all workers together.
        folder: where the model, the curriculum and the episodes of each worker are kept.
    """
    model_file, curriculum_file = folder / "model.zip", folder / "curriculum.ckpt"
    resumed = model_file.exists() and curriculum_file.exists()
    with Curriculum(TASKS, NoiseAwareConfig(score_range=(0.0, 500.0)), seed=0) as curriculum:
        if resumed:
            curriculum.load(str(curriculum_file))
        # Its Monitor and the time limit are inside the wrapper, as they should be.
        envs = make_vec_env(
            "CartPole-v1",
            n_envs=4,
            wrapper_class=CurriculumEnv,
            wrapper_kwargs={"curriculum": curriculum, "apply": "attributes"},
            monitor_dir=str(folder),
            monitor_kwargs={"override_existing": not resumed},
            vec_env_cls=SubprocVecEnv,
            vec_env_kwargs={"start_method": "forkserver"},
        )
        if resumed:
            model = PPO.load(model_file, envs, device="cpu")
        else:
            model = PPO("MlpPolicy", envs, n_steps=256, batch_size=256, device="cpu", verbose=1)
        model.learn(steps, CurriculumCallback(curriculum), reset_num_timesteps=not resumed)
        model.save(model_file)
        curriculum.save(str(curriculum_file))
        envs.close()
        for label, totals in curriculum.label_totals().items():
            mean = totals["score_sum"] / max(totals["completions"], 1)
            print(f"{label:12} {totals['completions']:5.0f} episodes, mean return {mean:.1f}")


if __name__ == "__main__":
    parser = ArgumentParser(
        description=__doc__.partition("\n")[0], formatter_class=ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=100_000, help="of all workers together")
    parser.add_argument("--folder", type=Path, default="runs/sb3", help="goes on from it")
    main(**vars(parser.parse_args()))

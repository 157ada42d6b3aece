"""PuffeRL, the trainer of PufferLib 3, on cart-poles of many lengths with a curriculum.

    python examples/pufferlib_ppo.py --train.total-timesteps 200000 --train.data-dir runs/puffer

All of PufferLib's options are there. Run again with the same folder, it goes on where it ended.
"""

from functools import partial
from pathlib import Path

import gymnasium as gym
import pufferlib
import pufferlib.emulation
import pufferlib.models
import pufferlib.vector
import torch
from pufferlib import pufferl

from curricle import Curriculum, CurriculumEnv, NoiseAwareConfig
from curricle.integrations.pufferlib import EpisodeInfos
from curricle.loggers import JsonlLogger

LENGTHS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
# CartPole keeps the product of mass (0.1) and length beside the length.
TASKS = {f"length {n}": {"length": n, "polemass_length": 0.1 * n} for n in LENGTHS}
CONFIG = NoiseAwareConfig(score_range=(0.0, 500.0))
ENVS, WORKERS = 16, 2
SETTINGS = {
    "env": "cart-poles",
    "device": "cpu",
    "optimizer": "adam",
    "learning_rate": 1e-2,
    "minibatch_size": 256,
    "update_epochs": 4,
    "bptt_horizon": 32,
    "adam_eps": 1e-8,
    "vf_coef": 0.5,
}


def make(curriculum: Curriculum, buf: object = None, seed: int = 0) -> gym.Env:
    """What a worker makes; the statistics of PufferLib are inside."""
    env = pufferlib.EpisodeStats(gym.make("CartPole-v1"))
    env = EpisodeInfos(CurriculumEnv(env, curriculum, apply="attributes"))
    return pufferlib.emulation.GymnasiumPufferEnv(env, buf=buf, seed=seed)


def main() -> None:
    torch.manual_seed(0)
    settings = pufferl.load_config("default")["train"] | SETTINGS
    folder = Path(settings["data_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    curriculum = Curriculum(TASKS, CONFIG, seed=0)
    how = {"backend": pufferlib.vector.Multiprocessing, "num_workers": WORKERS, "overwork": True}
    envs = pufferlib.vector.make(partial(make, curriculum), num_envs=ENVS, batch_size=ENVS, **how)
    policy = pufferlib.models.Default(envs.driver_env, hidden_size=64)
    if (folder / "agent.pt").exists():
        policy.load_state_dict(torch.load(folder / "agent.pt"))
        curriculum.load(f"{folder}/curriculum.ckpt")
    trainer = pufferl.PuffeRL(settings, envs, policy)
    with JsonlLogger(curriculum, folder / "curriculum.jsonl") as logger:
        while trainer.global_step < settings["total_timesteps"]:
            trainer.evaluate()
            trainer.train()
            logger.log(trainer.global_step)
    torch.save(policy.state_dict(), folder / "agent.pt")
    curriculum.save(f"{folder}/curriculum.ckpt")
    trainer.close()
    for process in envs.processes:
        process.join()  # PufferLib only tells them to end; the last to leave removes the session
    curriculum.close()


if __name__ == "__main__":
    main()

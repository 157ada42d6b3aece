"""RLlib's new API stack: environments that env runners make, and metrics in the results.

RLlib resets inside the env runner, without options, so `CurriculumEnv` draws the tasks there.
"""

from curricle.extras import need_extra

need_extra("curricle.integrations.rllib", "rllib", "ray")

from curricle.integrations.rllib.callback import CurriculumCallback  # noqa: E402  after the check
from curricle.integrations.rllib.environments import register_curriculum_env  # noqa: E402

__all__ = ["CurriculumCallback", "register_curriculum_env"]

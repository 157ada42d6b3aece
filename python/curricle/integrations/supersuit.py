"""SuperSuit: the last infos of an episode, which its vector environments would write over."""

from __future__ import annotations

from typing import Any

from curricle.extras import need_extra

need_extra("curricle.integrations.supersuit", "supersuit", "pettingzoo")

from pettingzoo.utils.wrappers import (  # type: ignore[import-untyped]  # noqa: E402
    BaseParallelWrapper,
)


class FinalInfos(BaseParallelWrapper):  # type: ignore[misc]
    """Keeps the infos of an episode's last step from those of the reset that follows.

    SuperSuit resets in the step that ends an episode and puts both infos in one dict, where the
    label and the number of the next task take the place of those of the ended episode, beside
    its score. Here the info of one agent, the first that has one, also has the last info of the
    episode as ``"final_info"``. So each episode that ended is found once in the infos of a step:
    ``[info["final_info"] for info in infos if "final_info" in info]``.

    Args:
        env: a ``ParallelEnv`` with ``CurriculumParallelEnv`` among its wrappers.

    Raises:
        ModuleNotFoundError: on import of the module, if PettingZoo is missing.
    """

    def step(
        self, actions: dict[Any, Any]
    ) -> tuple[
        dict[Any, Any],
        dict[Any, float],
        dict[Any, bool],
        dict[Any, bool],
        dict[Any, dict[str, Any]],
    ]:
        """Steps; the last step of an episode has its info twice."""
        *transition, infos = self.env.step(actions)
        if not self.env.agents and infos:
            agent, info = next(iter(infos.items()))
            infos = {**infos, agent: {**info, "final_info": info}}
        return (*transition, infos)

"""What the processes of `test_leaving` do; importable, as spawned ones have to import it."""

from curricle import Curriculum, CurriculumEnv
from small_envs import TaskCorridor

KEPT = []


def work_and_keep(what, started, go_on):
    """Draws from a curriculum, or from one on the session of that name, and never leaves it."""
    curriculum = Curriculum(5, session=what) if isinstance(what, str) else what
    KEPT.append(curriculum)
    curriculum.report(curriculum.draw().ticket, 0.5)
    started.set()
    go_on.wait()


class Maker:
    """Makes an environment that draws from a curriculum."""

    def __init__(self, curriculum):
        self.curriculum = curriculum

    def __call__(self):
        return CurriculumEnv(TaskCorridor(), self.curriculum)

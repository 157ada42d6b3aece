"""Folders as trainers leave them, for tests of the report."""

import numpy as np

from curricle import Curriculum, LearningProgressConfig
from curricle.loggers import CsvLogger, JsonlLogger

EVIL = "</script><img src=x onerror=document.title='taken'>"
# A formula for matplotlib, a mark that turns the line round, a name that legends leave out.
ODD = ('$\\frac{1$ & "it\'s"', "left\u202eright", "_hidden", "tab\there", "日本")


def play(curriculum, rounds, logger, each=40):
    """Plays and logs; tasks of a label succeed the more often the later it stands."""
    labels = sorted({task.get_label() or "" for task in curriculum.eval()})
    rng = np.random.default_rng(0)
    for number in range(1, rounds + 1):
        for task in curriculum.draw_many(each):
            chance = (labels.index(task.get_label() or "") + 1) / len(labels)
            curriculum.report(task.ticket, float(rng.random() < chance), env_steps=5)
        logger.log(number * each * 5)


def local_curriculum(tasks, **options):
    config = LearningProgressConfig(
        use_shared_memory=False, score_range=(0.0, 1.0), max_labels=1000
    )
    return Curriculum(tasks, config, seed=0, **options)


def log_run(folder, labels, rounds=6, logger=JsonlLogger, tasks_per_label=3, **options):
    """A folder as a trainer of a user's leaves it, and the curriculum's totals."""
    folder.mkdir(exist_ok=True)
    tasks = [{"label": label} for label in labels for _ in range(tasks_per_label)]
    suffix = "csv" if logger is CsvLogger else "jsonl"
    with (
        local_curriculum(tasks) as curriculum,
        logger(curriculum, folder / f"log.{suffix}", **options) as log,
    ):
        play(curriculum, rounds, log)
        curriculum.save(str(folder / "session.ckpt"))
        return curriculum.label_totals()

"""Tasks with given score histories, and what oracles make of such a history by plain loops."""

import numpy as np

from curricle.curriculum import Curriculum

STEP = 0.1


def after(config, histories):
    """The records of tasks 0 to n-1 after their scores, reported in turns; shape (n,)."""
    with Curriculum(len(histories), config, seed=0) as curriculum:
        longest = max(map(len, histories))
        for turn in range(longest):
            for task_id, scores in enumerate(histories):
                if turn < len(scores):
                    curriculum.report(task_id, scores[turn])
        return by_id(curriculum.tracker.snapshot())


def by_id(table):
    return table[np.argsort(table["task_id"])]


def shares(curriculum):
    """The distribution that draws follow, shape (n,), for ids 0 to n-1."""
    ids, probabilities = curriculum.probabilities()
    return probabilities[np.argsort(ids)]


def running_mean(scores, step=STEP):
    """EMA of a history, which starts with its first score."""
    mean = scores[0]
    for score in scores[1:]:
        mean = (1.0 - step) * mean + step * score
    return mean


def surprise(scores, step=STEP):
    """Distance of the last score from the EMA of those before it."""
    return scores[-1] - running_mean(scores[:-1], step) if len(scores) > 1 else 0.0


def success_rate(scores, threshold=0.5, step=STEP):
    return running_mean([float(score >= threshold) for score in scores], step)


def normalised(weights):
    return np.array(weights) / np.sum(weights)

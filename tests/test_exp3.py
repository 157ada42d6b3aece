"""Exp3.S against the recursion of the paper, by plain loops, and in several processes."""

import math
import secrets

import numpy as np
import pytest

from curricle import Curriculum, Exp3Config, MixtureConfig
from curricle.backends import LocalMemoryBackend
from process_workers import train_odd
from score_histories import running_mean, shares
from session_workers import Worker

LOCAL = {"use_shared_memory": False}


def quantile(values, share):
    """By linear interpolation between the values in order."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


class Recursion:
    """The paper's weights w, over histories of scores."""

    def __init__(self, n, config):
        self.config = config
        self.w = [0.0] * n
        self.histories = [[] for _ in range(n)]

    def probabilities(self):
        total = sum(map(math.exp, self.w))
        epsilon = self.config.floor
        return [(1 - epsilon) * math.exp(w) / total + epsilon / len(self.w) for w in self.w]

    def reward(self, task_id):
        progress = {
            i: abs(running_mean(scores, 0.1) - running_mean(scores, 0.02))
            for i, scores in enumerate(self.histories)
            if scores
        }
        low, high = (quantile(progress.values(), share) for share in (0.2, 0.8))
        if low == high:
            return (progress[task_id] > low) - (progress[task_id] < low)
        return min(max(2 * (progress[task_id] - low) / (high - low) - 1, -1), 1)

    def take_in(self, episodes):
        """Scores of episodes that were drawn with the same probabilities."""
        n, eta, beta = len(self.w), self.config.learning_rate, self.config.bias
        drawn = self.probabilities()
        for task_id, score in episodes:
            self.histories[task_id].append(score)
        gained = [beta * len(episodes) / p for p in drawn]
        for task_id, _ in episodes:
            gained[task_id] += self.reward(task_id) / drawn[task_id]
        grown = [math.exp(w + eta * gain) for w, gain in zip(self.w, gained, strict=True)]
        alpha = len(episodes) / (sum(map(len, self.histories)) + 1)
        self.w = [
            math.log((1 - alpha) * own + alpha / (n - 1) * (sum(grown) - own)) for own in grown
        ]


@pytest.mark.parametrize(("every", "bias"), [(1, 0.0), (1, 0.05), (7, 0.05)])
def test_the_recursion(every, bias):
    config = Exp3Config(learning_rate=0.05, bias=bias, update_every=every, **LOCAL)
    rng = np.random.default_rng(0)
    curriculum = Curriculum(5, config, seed=0)
    recursion = Recursion(5, config)
    waiting = []
    for episode in range(350):
        task = curriculum.draw()
        if episode % every == 0:
            if waiting:
                recursion.take_in(waiting)
            waiting = []
            expected = recursion.probabilities()
            assert shares(curriculum) == pytest.approx(expected, rel=1e-6)
        score = float(rng.random() < episode / 350 * task.task_id / 4)
        curriculum.report(task.ticket, score)
        waiting.append((task.task_id, score))
    assert max(expected) > 1.2 * min(expected)


def test_it_comes_to_draw_what_is_being_learned():
    config = Exp3Config(learning_rate=0.05, **LOCAL)
    curriculum = Curriculum(10, config, seed=0)
    practised = 0
    for _ in range(3000):
        task = curriculum.draw()
        practised += task.task_id == 4
        curriculum.report(task.ticket, practised / 1000 if task.task_id == 4 else 0.5)
    assert shares(curriculum)[4] > 0.5


def test_weights_stay_finite():
    config = Exp3Config(learning_rate=1e6, floor=0.0, update_every=1, **LOCAL)
    curriculum = Curriculum(6, config, seed=0)
    for episode in range(300):
        task = curriculum.draw()
        curriculum.report(task.ticket, float(episode % (task.task_id + 2) == 0))
    assert shares(curriculum).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["session", "path"])
def test_several_processes_count_each_completion_once(kind, tmp_path):
    name = f"test-{secrets.token_hex(8)}"
    place = {"session": name} if kind == "session" else {"path": str(tmp_path / name)}
    curriculum = Curriculum(6, Exp3Config(), **place, seed=0)
    workers = [Worker(), Worker()]
    for worker in workers:
        worker.tell(train_odd, curriculum, 400)
    for worker in workers:
        assert worker.answer() == set(range(6))
    curriculum.algorithm.refresh()
    table = curriculum.tracker.snapshot()
    assert table["completion_count"].sum() == 800
    assert table["exp3_counted"].tolist() == table["completion_count"].tolist()
    assert [worker.end() for worker in workers] == [0, 0]
    curriculum.close()


def test_a_backend_without_its_column():
    backend = LocalMemoryBackend(8, rules=Exp3Config(**LOCAL).rules())
    with pytest.raises(ValueError, match=r"columns=\('exp3_counted',\)"):
        Curriculum(4, Exp3Config(**LOCAL), backend=backend)


def test_it_is_no_part_of_a_mixture():
    with pytest.raises(ValueError, match="Exp3Config, has the columns"):
        MixtureConfig(parts=[(0.5, Exp3Config())])

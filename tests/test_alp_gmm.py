"""ALP-GMM: its learning progress, its mixture and its draws."""

import importlib.util
import math
import subprocess
import sys

import numpy as np
import pytest

from curricle import AlpGmmConfig, Curriculum
from score_histories import after, shares, surprise

LOCAL = {"use_shared_memory": False}

needs_scikit_learn = pytest.mark.skipif(
    importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed"
)


def progress_of(episodes, parameters):
    """(task, ALP) of the tasks in the order of their last episode, by plain loops."""
    last = {task_id: at for at, (task_id, _) in enumerate(episodes)}
    order = sorted(last, key=last.__getitem__)
    found = []
    for place, task_id in enumerate(order):
        scores = [score for played, score in episodes if played == task_id]
        progress = abs(surprise(scores))
        if len(scores) == 1:
            distances = [(math.dist(parameters[i], parameters[task_id]), i) for i in order[:place]]
            nearest = min(distances)[1] if distances else task_id
            known = [score for played, score in episodes if played == nearest]
            progress = abs(scores[0] - known[-1])
        found.append((task_id, progress))
    return found


@needs_scikit_learn
@pytest.mark.parametrize("window", [40, 50])
def test_the_weights_are_those_of_the_fitted_mixture(window):
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(0)
    n = 60
    parameters = rng.random((n, 2)) * (10.0, 0.01)
    episodes = [(int(task_id), float(rng.random())) for task_id in rng.permutation(50)]
    episodes += [(task_id, score + 0.3) for task_id, score in episodes[:20]]
    config = AlpGmmConfig(parameters=parameters, window=window, components=4, **LOCAL)
    snapshot = after(config, [[x for played, x in episodes if played == i] for i in range(n)])
    for tick, (task_id, _) in enumerate(episodes):
        # A session estimates ticks; here they are the number of the episode.
        snapshot["last_completed"][task_id] = tick
    scaled = (parameters - parameters.min(axis=0)) / np.ptp(parameters, axis=0)
    ids, progress = map(np.array, zip(*progress_of(episodes, scaled)[-window:], strict=True))
    data = np.column_stack([scaled[ids], progress / progress.max()])
    fits = [GaussianMixture(k, random_state=0).fit(data) for k in (2, 3, 4)]
    best = fits[int(np.argmin([fit.aic(data) for fit in fits]))]
    expected = np.zeros(n)
    chosen = np.maximum(best.means_[:, 2], 0.0)
    for k in range(best.n_components):
        inverse = np.linalg.inv(best.covariances_[k][:2, :2])
        offset = scaled - best.means_[k][:2]
        density = np.array([math.exp(-0.5 * x @ inverse @ x) for x in offset])
        expected += chosen[k] / chosen.sum() * density / density.sum()
    assert config.weights(snapshot) == pytest.approx(expected, rel=1e-6)
    assert config.rules().as_dict()["floor"] == 0.2


@needs_scikit_learn
@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_draws_go_where_scores_change(criterion):
    n = 200
    parameters = {i: (i / n, 0.0) for i in range(n)}
    config = AlpGmmConfig(parameters=parameters, window=100, criterion=criterion, **LOCAL)
    curriculum = Curriculum(n, config, seed=0)
    practised = 0
    for _ in range(800):
        task = curriculum.draw()
        learns = 0.4 <= task.task_id / n < 0.5
        practised += learns
        score = min(practised / 300, 1.0) if learns else 0.0
        curriculum.report(task.ticket, score)
    inside = shares(curriculum)[80:100].sum()
    assert inside > 0.5


@needs_scikit_learn
def test_draws_are_uniform_until_the_window_is_full():
    config = AlpGmmConfig(parameters=[[0.1], [0.5], [0.9]], window=3, **LOCAL)
    curriculum = Curriculum(3, config, seed=0)
    curriculum.report([0, 0, 1], [1.0, 0.5, 0.0])
    curriculum.algorithm.refresh()
    assert shares(curriculum) == pytest.approx([1 / 3] * 3)
    curriculum.report(2, 0.7)
    curriculum.algorithm.refresh()
    assert np.ptp(shares(curriculum)) > 0.01


@needs_scikit_learn
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({}, "parameters have the lengths"),
        ([[1.0], [1.0, 2.0]], r"lengths \[1, 2\]"),
        ([[], []], r"lengths \[0\]"),
        ([[float("nan")]], "finite"),
        ("ab", "parameters"),
    ],
)
def test_parameters_that_are_none(parameters, said):
    with pytest.raises(ValueError, match=said):
        AlpGmmConfig(parameters=parameters)


@needs_scikit_learn
def test_a_task_without_parameters():
    curriculum = Curriculum(3, AlpGmmConfig(parameters={0: (1.0,), 2: (2.0,)}, **LOCAL))
    with pytest.raises(ValueError, match="1 tasks have no parameters, task 1 for one"):
        curriculum.draw()


def test_an_import_brings_in_no_scikit_learn():
    code = "import sys, curricle.algorithms.catalogue; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'curricle\[alp-gmm\]'"):
        AlpGmmConfig(parameters=[[0.5]])

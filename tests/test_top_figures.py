"""What `curricle top` makes of looks at a session: rates, shares, trails, histograms, texts."""

import numpy as np
import pytest
from rich.cells import cell_len

from curricle.literal import literal
from curricle.top.heading import heading
from curricle.top.histogram import histogram
from curricle.top.history import MOST_POINTS, WINDOW, History
from curricle.top.look import COUNTS, Look
from curricle.top.text import count, fit, sparkline


def made(at, labels, **totals):
    counts = np.array(list(labels.values()), float).reshape(-1, len(COUNTS))
    sums = dict(zip(COUNTS, counts.sum(axis=0), strict=True))
    rest = dict.fromkeys(("created", "late_reports", "recoveries", "lock_waits"), 0.0)
    whole = {**rest, **sums, "lp_mean": 0.0, **totals}
    return Look(at, at, True, 8, whole, list(labels), counts)


def label(draws, scores=0.0, tasks=1, lp=0.0):
    return (tasks, draws, draws, scores, lp, 0)


def test_a_rate_is_over_the_window_and_right_after_a_pause():
    history = History()
    rates = []
    for second in range(20):
        history.add(made(float(second), {"a": label(10 * second)}))
        rates.append(history.rate("completions"))
    assert rates == [None, *[10.0] * 19]
    # A pause of 1000 s with 2000 episodes, and then 30 in a second.
    history.add(made(1019.0, {"a": label(2190)}))
    assert history.rate("completions") == 2.0
    history.add(made(1020.0, {"a": label(2220)}))
    assert history.rate("completions") == 30.0


def test_shares_and_scores_are_of_the_latest_time_that_has_any():
    history = History()
    history.add(made(0.0, {"a": label(30, 15.0), "b": label(10, 10.0), "c": label(0)}))
    np.testing.assert_allclose(history.shares(), [0.75, 0.25, 0.0])
    np.testing.assert_allclose(history.mean_scores(), [0.5, 1.0, np.nan])
    history.add(made(1.0, {"a": label(40, 15.0), "b": label(10, 10.0), "c": label(0)}))
    np.testing.assert_allclose(history.shares(), [1.0, 0.0, 0.0])
    np.testing.assert_allclose(history.mean_scores(), [0.0, 1.0, np.nan])
    for second in range(10):
        later = made(100.0 + second, {"a": label(40, 15.0), "b": label(10, 10.0), "c": label(0)})
        history.add(later)
    np.testing.assert_allclose(history.shares(), [1.0, 0.0, 0.0])
    np.testing.assert_allclose(history.mean_scores(), [0.0, 1.0, np.nan])


def test_a_label_that_is_folded_takes_its_past_along():
    history = History()
    history.add(made(0.0, {"a": label(100), "other": label(50)}))
    history.add(made(1.0, {"b": label(3), "other": label(151)}))
    assert history.labels == ["b", "other"]
    np.testing.assert_allclose(history.shares(), [0.75, 0.25])
    np.testing.assert_allclose(history.share_trails(np.array([1]), 9), [[0.25]])


def test_a_checkpoint_of_less_begins_anew():
    history = History()
    history.add(made(0.0, {"a": label(100)}))
    history.add(made(1.0, {"a": label(20)}))
    assert history.rate("completions") is None
    history.add(made(2.0, {"a": label(25)}))
    assert history.rate("completions") == 5.0


def test_the_trail_reaches_back_to_the_first_look_in_bounded_memory():
    history = History()
    for second in range(1000):
        # One label has all draws of the first half.
        a, b = min(second, 500), max(0, second - 500)
        history.add(made(float(second), {"a": label(a), "b": label(b)}))
    assert len(history._trail) <= MOST_POINTS
    (trail,) = history.share_trails(np.array([0]), 10)
    assert len(trail) == 10
    np.testing.assert_allclose(trail[:4], 1.0)
    np.testing.assert_allclose(trail[-4:], 0.0)
    np.testing.assert_allclose(history.rates("completions", 10), 1.0)
    np.testing.assert_allclose(history.shares(), [0.0, 1.0])
    assert WINDOW < 10


def test_large_numbers_fit_in_the_heading():
    history = History()
    history.add(made(0.0, {"a": (10**6, 0, 0, 0.0, 0.0, 0)}))
    look = made(1.0, {"a": (10**6, 10**9, 10**9, 5.0, 5.0, 10**7)}, lock_waits=10**6)
    history.add(look)
    lines = heading("n" * 200, 0.0, look, history, "ended 12:34:56, runs again: n follows")
    assert all(len(line) <= 80 for line in lines.splitlines())


def test_a_histogram_counts_every_value_once():
    rng = np.random.default_rng(0)
    for values in (rng.random(1000), 10.0 ** rng.uniform(-6, 0, 1000), np.full(9, 0.5)):
        both = np.concatenate([values, np.zeros(5), [np.nan]])
        lines = histogram(both, 12, 40)
        numbers = [int(line.split()[1].replace(",", "")) for line in lines]
        assert numbers[0] == 5
        assert sum(numbers) == len(values) + 5
        assert all(len(line) == 40 for line in lines)
        assert all(
            (number > 0) == (len(line.split()) > 2)
            for number, line in zip(numbers, lines, strict=True)
        )
    assert histogram(np.zeros(0), 12, 40)[0].split() == ["0", "0"]


def test_texts_fit_columns():
    for text in ("short", "chain_4_sinks_1_medium_IMPOSSIBLE", "日本語のラベルでとても長いもの"):
        for width in range(1, 40):
            assert cell_len(fit(text, width)) == width
    assert fit("chain_4_sinks_1_medium_IMPOSSIBLE", 21) == "chain_4_si…IMPOSSIBLE"
    assert fit("12", 4, right=True) == "  12"
    assert (
        literal("a\x1b]0;b\x07\n")
        == "a\N{REPLACEMENT CHARACTER}]0;b" + "\N{REPLACEMENT CHARACTER}" * 2
    )


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9999, "9,999"),
        (10000, "10.0k"),
        (999_999, "1.00M"),
        (1e6, "1.00M"),
        (4.56e9, "4.56G"),
    ],
)
def test_counts_take_six_columns(number, text):
    assert count(number) == text


def test_sparklines():
    assert sparkline([0.0, 0.5, 1.0], from_zero=True) == "▁▄▇"
    assert sparkline([5.0, 5.5, 6.0], from_zero=False) == "▁▄▇"
    assert sparkline([np.nan, 0.0, 0.0], from_zero=True) == " ▁▁"
    assert sparkline([], from_zero=True) == ""

"""Limits of labels' shares, on every backend: against oracles, and as draws follow them."""

import pickle
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from curricle import EmptyTableError, LocalMemoryBackend, Rules
from refusals import NAN, cases, table
from test_backends import DictBackend, ids, make, scores

__all__ = ["make", "table"]

RULES = {
    "weights": Rules(progress="given"),
    "weights and floor": Rules(progress="given", floor=0.2),
    "uniform": Rules(progress="given", law="uniform"),
    "sigmoid": Rules(progress="given", law="sigmoid", amplification=2.0),
}
LABELS = ["a", "a", "b", "b", "c", None]
WEIGHTS = [1.0, 3.0, 2.0, 2.0, 4.0, 8.0]


def filled(backend, labels=LABELS, weights=WEIGHTS):
    """The backend with tasks 0 to n-1 of these labels and weights."""
    backend.create_many(np.arange(len(labels)), labels)
    backend.set_weights(np.arange(len(labels)), np.array(weights, dtype=np.float64))
    return backend


def by_id(backend):
    """The distribution that draws follow, shape (n,), for ids 0 to n-1."""
    known, shares = backend.probabilities()
    return shares[np.argsort(known)]


def bisected(shares, sizes, least, most):
    """Shares within limits: the c of clip(c * share, least, most) by halving an interval.

    Where a large c is not enough, those that have a share stay at ``most``, the others are
    filled by their sizes, and in the end all are scaled.
    """
    limited = np.clip(0.0, least, most)
    for given_ in (shares, np.where(shares > 0.0, 0.0, sizes)):
        active = given_ > 0.0
        if not active.any():
            continue
        low, high = 0.0, 1e15
        for _ in range(200):
            c = (low + high) / 2.0
            limited[active] = np.clip(c * given_, least, most)[active]
            low, high = (c, high) if limited.sum() < 1.0 else (low, c)
        if limited.sum() > 1.0 - 1e-9:
            break
    return limited / limited.sum() if limited.sum() > 0.0 else limited


def expected(labels, law, limits):
    """Probabilities under limits, and the shares of groups, by the oracle."""
    groups = [label if label in limits else None for label in labels]
    names = sorted(set(groups), key=str)
    inside = [np.array([group == name for group in groups]) for name in names]
    shares = np.array([law[of].sum() for of in inside])
    sizes = np.array([of.sum() for of in inside])
    least, most = np.array([limits.get(name, (0.0, 1.0)) for name in names]).T
    limited = bisected(shares, sizes, least, most)
    result = np.zeros(len(law))
    for of, share, size, after in zip(inside, shares, sizes, limited, strict=True):
        result[of] = after * (law[of] / share if share > 0.0 else 1.0 / size)
    return result, dict(zip(names, zip(shares, limited, strict=True), strict=True))


def least_divergence(shares, least, most):
    """Shares within limits of least Kullback-Leibler divergence, by a general minimiser."""
    found = optimize.minimize(
        lambda p: np.sum(p * np.log(p / shares)),
        np.clip(shares, least, most),
        jac=lambda p: np.log(p / shares) + 1.0,
        bounds=list(zip(np.maximum(least, 1e-9), most, strict=True)),
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1.0, "jac": np.ones_like},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert found.success, found.message
    return found.x


thousandths = st.integers(0, 1000).map(lambda n: n / 1000)
limits_of_a_label = st.tuples(st.integers(0, 250), st.integers(0, 1000)).map(
    lambda drawn: (drawn[0] / 1000, max(drawn) / 1000)
)
some_limits = st.dictionaries(
    st.sampled_from(["a", "b", "c", "idle"]),
    st.one_of(limits_of_a_label, thousandths.map(lambda most: (0.0, most)), st.just((0.0, 0.0))),
)
some_tasks = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", None]),
        st.one_of(st.just(0.0), st.floats(1e-3, 100.0)),
    ),
    min_size=1,
    max_size=12,
)


class TestDistribution:
    @pytest.mark.parametrize("rules", RULES.values(), ids=RULES.keys())
    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(data=st.data())
    def test_it_is_the_oracles(self, make, rules, data):
        # One table for all examples: what was cleared must not shine through.
        if not hasattr(make, "table"):
            make.table = make(rules=rules)
        backend = make.table
        backend.clear()
        assert backend.share_limits() == {}
        labels, weights = zip(*data.draw(some_tasks), strict=True)
        filled(backend, list(labels), weights)
        law = by_id(backend)
        limits = data.draw(some_limits)
        for label, (least, most) in limits.items():
            backend.limit_share(label, least, most)
        limits = {label: pair for label, pair in limits.items() if pair != (0.0, 1.0)}
        assert backend.share_limits() == limits
        probabilities, shares = expected(labels, law, limits)
        assert by_id(backend) == pytest.approx(probabilities, abs=2e-9)
        assert (by_id(backend) == 0.0).tolist() == (probabilities == 0.0).tolist()
        told = backend.limited_shares()
        if limits:
            assert told.keys() == shares.keys()
            for name, pair in shares.items():
                assert told[name] == pytest.approx(pair, abs=2e-9)
        else:
            assert told == {}

    def test_none_within_the_limits_is_closer(self, make):
        rng = np.random.default_rng(3)
        backend = make(rules=RULES["weights"])
        labels = ["a", "b", "c", "d", None]
        for _ in range(20):
            backend.clear()
            filled(backend, labels, rng.exponential(size=5) + 1e-3)
            law = by_id(backend)
            least = np.append(0.2 * rng.random(4), 0.0)
            most = np.append(least[:4] + 0.3 * rng.random(4), 1.0)
            for at in range(4):
                backend.limit_share(labels[at], least[at], most[at])
            assert by_id(backend) == pytest.approx(least_divergence(law, least, most), abs=1e-5)

    @pytest.mark.parametrize(
        ("limits", "shares"),
        [
            # The law gives a 0.2, b 0.2, c 0.2 and the task without a label 0.4.
            ({"a": (0.5, 1.0)}, {"a": 0.5, "b": 0.125, "c": 0.125, None: 0.25}),
            ({"a": (0.0, 0.1)}, {"a": 0.1, "b": 0.225, "c": 0.225, None: 0.45}),
            ({"a": (0.0, 0.0)}, {"a": 0.0, "b": 0.25, "c": 0.25, None: 0.5}),
            ({"a": (0.1, 0.3)}, {"a": 0.2, "b": 0.2, "c": 0.2, None: 0.4}),
            ({"a": (0.6, 1.0), "b": (0.4, 1.0)}, {"a": 0.6, "b": 0.4, "c": 0.0, None: 0.0}),
            # What a cannot have goes to c and the rest in proportion; b may have no more.
            ({"a": (0.0, 0.1), "b": (0.0, 0.2)}, {"a": 0.1, "b": 0.2, "c": 7 / 30, None: 7 / 15}),
            ({"idle": (0.9, 1.0)}, {"a": 0.2, "b": 0.2, "c": 0.2, None: 0.4}),
        ],
    )
    def test_by_hand(self, make, limits, shares):
        backend = filled(make(rules=RULES["weights"]))
        for label, pair in limits.items():
            backend.limit_share(label, *pair)
        got = by_id(backend)
        assert got.sum() == pytest.approx(1.0)
        for label, share in shares.items():
            own = [at for at in range(6) if LABELS[at] == label]
            assert got[own].sum() == pytest.approx(share, abs=1e-9)
            # Inside a label the tasks keep their proportions.
            weights = np.array(WEIGHTS)[own]
            assert got[own] == pytest.approx(share * weights / weights.sum(), abs=1e-9)

    def test_a_label_that_the_law_never_draws_is_drawn_uniformly(self, make):
        backend = filled(make(rules=RULES["weights"]), ["a", "a", "b"], [0.0, 0.0, 1.0])
        assert by_id(backend).tolist() == [0.0, 0.0, 1.0]
        backend.limit_share("a", 0.3)
        assert by_id(backend) == pytest.approx([0.15, 0.15, 0.7])

    def test_what_weights_leave_goes_to_tasks_without_weight_by_their_number(self, make):
        labels = ["a", "b", "b", "b", None, "c"]
        backend = filled(make(rules=RULES["weights"]), labels, [1.0] + [0.0] * 5)
        backend.limit_share("a", 0.0, 0.4)
        backend.limit_share("b", 0.0, 0.8)
        assert by_id(backend) == pytest.approx([0.4] + [0.12] * 5)
        backend.limit_share("b", 0.0, 0.15)
        assert by_id(backend) == pytest.approx([0.4] + [0.05] * 3 + [0.225] * 2)

    def test_where_all_labels_are_at_their_most_they_are_scaled_up(self, make):
        backend = filled(make(rules=RULES["weights"]), ["a", "b"], [1.0, 0.0])
        backend.limit_share("a", 0.0, 0.1)
        backend.limit_share("b", 0.0, 0.3)
        assert by_id(backend) == pytest.approx([0.25, 0.75])
        assert backend.limited_shares()["b"] == pytest.approx((0.0, 0.75))

    def test_where_all_labels_are_banned_there_is_nothing_to_draw(self, make):
        backend = filled(make(rules=RULES["weights"]), ["a", "b"], [1.0, 0.0])
        backend.limit_share("a", most=0.0)
        backend.limit_share("b", most=0.0)
        assert by_id(backend).tolist() == [0.0, 0.0]
        for draw in (backend.draw, lambda: backend.draw_many(2)):
            with pytest.raises(EmptyTableError, match="banned"):
                draw()
        assert backend.totals()["scheduled"] == 0
        backend.limit_share("b")
        assert backend.draw().task_id == 1

    def test_six_labels_can_have_a_sixth_each(self, make):
        backend = filled(make(rules=RULES["weights"]), list("abcdef"), range(1, 7))
        for label in "abcdef":
            backend.limit_share(label, 1 / 6)
        assert by_id(backend) == pytest.approx([1 / 6] * 6, abs=1e-8)

    def test_where_all_labels_are_banned_there_are_no_distinct_tasks(self, make):
        backend = filled(make(rules=RULES["weights"]), ["a", "b"], [1.0, 0.0])
        backend.limit_share("a", most=0.0)
        backend.limit_share("b", most=0.0)
        with pytest.raises(EmptyTableError, match="banned"):
            backend.draw_many(2, replace=False)

    def test_a_small_most_is_no_ban(self, make):
        backend = filled(make(rules=RULES["weights"]))
        backend.limit_share("a", 0.0, 1e-12)
        assert 0.0 < by_id(backend)[:2].sum() < 2e-9


class TestDraws:
    LIMITS = (("a", 0.7, 1.0), ("b", 0.0, 0.1), ("c", 0.0, 0.0))

    @pytest.fixture(params=list(RULES))
    def limited(self, make, request):
        backend = filled(make(rules=RULES[request.param]))
        for label, least, most in self.LIMITS:
            backend.limit_share(label, least, most)
        return backend

    @staticmethod
    def check(drawn, probabilities):
        counts = np.bincount([ticket.task_id for ticket in drawn], minlength=6)
        assert counts[4] == 0, "a banned task was drawn"
        may = probabilities > 0.0
        assert stats.chisquare(counts[may], len(drawn) * probabilities[may]).pvalue > 1e-3

    def test_they_follow_the_probabilities(self, limited):
        probabilities = by_id(limited)
        assert probabilities[:2].sum() == pytest.approx(0.7)
        self.check([limited.draw() for _ in range(2000)], probabilities)
        self.check(limited.draw_many(2000, stream=limited.stream(seed=1)), probabilities)

    def test_those_after_a_report_do_as_well(self, limited):
        probabilities = by_id(limited)
        drawn = []
        tickets = limited.draw_many(3)
        for _ in range(600):
            _, tickets, _ = limited.report_and_draw(tickets, scores(0.5, 0.5, 0.5), None, 3)
            drawn += tickets
        limited.set_weights(np.arange(6), np.array(WEIGHTS))
        assert by_id(limited) == pytest.approx(probabilities)
        self.check(drawn, probabilities)

    def test_distinct_tasks_are_drawn_one_after_another(self, limited):
        p = by_id(limited)
        pairs = Counter(
            tuple(ticket.task_id for ticket in limited.draw_many(2, replace=False))
            for _ in range(2000)
        )
        may = [(i, j) for i in range(6) for j in range(6) if i != j and p[i] * p[j] > 0.0]
        assert set(pairs) <= set(may)
        share = np.array([p[i] * p[j] / (1.0 - p[i]) for i, j in may])
        counts = np.array([pairs[pair] for pair in may])
        assert stats.chisquare(counts, 2000 * share).pvalue > 1e-3

    def test_no_more_distinct_tasks_than_may_be_drawn(self, limited):
        drawn = limited.draw_many(5, replace=False)
        assert sorted(ticket.task_id for ticket in drawn) == [0, 1, 2, 3, 5]
        with pytest.raises(ValueError, match=r"6.*5"):
            limited.draw_many(6, replace=False)


class TestLife:
    """What happens to limits while labels and tasks come and go."""

    def test_they_wait_for_tasks(self, make):
        backend = make(rules=RULES["weights"])
        backend.limit_share("later", 0.5)
        assert backend.limited_shares() == {}
        filled(backend, ["a", "a"], [1.0, 1.0])
        assert by_id(backend).tolist() == [0.5, 0.5]
        assert backend.limited_shares() == {None: (1.0, 1.0)}
        backend.replace(1, 7, label="later")
        backend.set_weights(ids(7), scores(0.25))
        assert by_id(backend) == pytest.approx([0.5, 0.5])
        backend.set_label(7, "a")
        assert by_id(backend) == pytest.approx([0.8, 0.2])

    def test_limits_replace_those_before(self, make):
        backend = filled(make(rules=RULES["weights"]))
        backend.limit_share("a", 0.9)
        backend.limit_share("a", 0.25, 0.75)
        assert backend.share_limits() == {"a": (0.25, 0.75)}
        backend.limit_share("b", 0.75)
        backend.limit_share("a")
        assert backend.share_limits() == {"b": (0.75, 1.0)}

    def test_a_checkpoint_has_them(self, make, tmp_path):
        backend = filled(make(rules=RULES["weights"]))
        backend.limit_share("a", 0.5)
        backend.limit_share("idle", 0.0, 0.125)
        limits, probabilities = backend.share_limits(), by_id(backend).tolist()
        backend.save(str(tmp_path / "table"))
        backend.clear()
        assert backend.share_limits() == {}
        backend.limit_share("b", 0.75)
        backend.load(str(tmp_path / "table"))
        assert backend.share_limits() == limits
        assert by_id(backend) == pytest.approx(probabilities)

    @pytest.mark.parametrize("kind", [LocalMemoryBackend, DictBackend])
    def test_a_pickled_copy_has_them(self, kind):
        backend = filled(kind(8, rules=RULES["weights"]))
        backend.limit_share("a", 0.5)
        copy = pickle.loads(pickle.dumps(backend))
        backend.limit_share("a")
        assert copy.share_limits() == {"a": (0.5, 1.0)}
        assert by_id(copy)[:2].sum() == pytest.approx(0.5)

    def test_a_label_with_limits_is_not_folded_into_other(self):
        backend = LocalMemoryBackend(4, max_inactive_labels=1)
        backend.limit_share("kept", most=0.25)
        for at in range(20):
            backend.create(at, label=f"label {at}")
            backend.update_score(at, 0.5)
            backend.remove(at)
        assert backend.share_limits() == {"kept": (0.0, 0.25)}
        filled(backend, ["kept", "b"], [1.0, 1.0])
        assert by_id(backend) == pytest.approx([0.25, 0.75])

    def test_a_limit_by_another_handle_counts_at_the_next_draw(self, make):
        backend = filled(make(rules=RULES["weights"]))
        if backend.name is None:
            pytest.skip("the backend has no session to attach to")
        other = pickle.loads(pickle.dumps(backend))
        other.limit_share("a", most=0.0)
        assert by_id(backend)[:2].tolist() == [0.0, 0.0]
        assert {ticket.task_id for ticket in backend.draw_many(200)} == {2, 3, 4, 5}
        other.close()


SUM = r"(?=.*add up to 1\.1\b)(?=.*0\.7)(?=.*['\"]b['\"])(?=.*lower)"


@cases(
    ("no label", lambda t: t.tracker.limit_share(None, 0.1), TypeError, "label is None"),
    ("bytes", lambda t: t.tracker.limit_share(b"a", 0.1), TypeError, "label is b'a'"),
    ("empty", lambda t: t.tracker.limit_share("", 0.1), ValueError, "1 to 120 bytes"),
    ("long", lambda t: t.tracker.limit_share("é" * 61, 0.1), ValueError, "122 bytes"),
    ("bool least", lambda t: t.tracker.limit_share("a", True), TypeError, "least is True"),
    ("bool most", lambda t: t.tracker.limit_share("a", 0, np.True_), TypeError, "most is True"),
    ("text", lambda t: t.tracker.limit_share("a", "0.5"), TypeError, "least is '0.5'"),
    ("none", lambda t: t.tracker.limit_share("a", None), TypeError, "least is None"),
    ("nan", lambda t: t.tracker.limit_share("a", 0.0, NAN), ValueError, "most is nan"),
    ("low", lambda t: t.tracker.limit_share("a", -0.1), ValueError, r"least is -0.1.*\[0, 1\]"),
    ("high", lambda t: t.tracker.limit_share("a", 0, 1.1), ValueError, r"most is 1.1.*\[0, 1\]"),
    ("percent", lambda t: t.tracker.limit_share("a", 0, 20), ValueError, r"most is 20.*\[0, 1\]"),
    ("crossed", lambda t: t.tracker.limit_share("a", 0.5, 0.2), ValueError, "0.5.*'a'.*0.2"),
    ("sum", lambda t: t.tracker.limit_share("b", 0.7), ValueError, SUM),
    ("backend range", lambda t: t.backend.limit_share("a", 0, 1.1), ValueError, "1.1"),
    ("backend nan", lambda t: t.backend.limit_share("a", NAN), ValueError, "nan"),
    ("backend order", lambda t: t.backend.limit_share("a", 0.5, 0.2), ValueError, "0.5.*0.2"),
    ("backend text", lambda t: t.backend.limit_share("a", "0.5"), TypeError, "0.5|str"),
    ("backend label", lambda t: t.backend.limit_share("", 0.1), ValueError, "1 to 120 bytes"),
)
def test_limits_that_cannot_be(table, case):
    table.backend.limit_share("a", 0.4)
    table.refuses(case)


def test_evictions_of_overfull_labels_first_and_not_of_the_last_of_a_least_share(make):
    labels = ["kept", "a", "a", "banned", "a", "banned", "half", "half", "half", "half"]
    backend = filled(make(), labels, list(range(1, 11)))
    for task_id in range(10):
        backend.update_score(task_id, 0.5)
        backend.set_lp(task_id, float(task_id))
    backend.limit_share("kept", 0.1)
    backend.limit_share("banned", 0.0, 0.0)
    backend.limit_share("half", 0.0, 0.25)

    def evict():
        task_id = backend.choose_eviction(1)
        backend.remove(task_id, evict=True)
        return task_id

    # Of 10, 9, 8 and so on tasks "half" may have a quarter.
    assert [evict() for _ in range(2)] == [3, 5]
    assert [evict() for _ in range(2)] == [6, 7]
    assert backend.choose_eviction(1) == 8
    backend.limit_share("half")
    assert [evict() for _ in range(5)] == [1, 2, 4, 8, 9]
    assert backend.choose_eviction(1) is None

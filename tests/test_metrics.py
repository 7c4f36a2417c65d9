"""Metrics against scikit-learn, hand-worked cases and loops that read like the definition."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score, ndcg_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from mi_lite.metrics import (
    adjusted_rand,
    agreement,
    coverage,
    evaluate,
    evaluate_ranking,
    hit_rate_at_n,
    intra_list_diversity,
    mean_cosine,
    ndcg_at_n,
    nmi,
    paired_interval,
    purity,
    recall_at_n,
    spread,
)

RANKED = np.array([[3, 1, 4, 5], [2, 6, 7, 1], [9, 8, 7, 6]])


# ranked lists


def test_one_target_by_hand():
    target = np.array([4, 2, 1])
    np.testing.assert_array_equal(recall_at_n(RANKED, target), [1, 1, 0])
    np.testing.assert_array_equal(recall_at_n(RANKED, target, 2), [0, 1, 0])
    np.testing.assert_allclose(ndcg_at_n(RANKED, target), [1 / math.log2(4), 1, 0])
    for n in (1, 2, 3, 4):
        for denominator in ("min", "targets"):
            np.testing.assert_array_equal(
                recall_at_n(RANKED, target, n, denominator=denominator), hit_rate_at_n(RANKED, target, n)
            )


def test_several_targets_by_hand_in_three_spellings():
    sets = [{1, 5, 2}, {3}, {9, 8, 7, 6, 5}]
    padded = np.array([[1, 5, 2, 0, 0], [3, 3, 0, 0, 0], [9, 8, 7, 6, 5]])
    for targets in (sets, padded, torch.from_numpy(padded), [[1, 5, 2, 2], (3,), range(5, 10)]):
        np.testing.assert_allclose(recall_at_n(RANKED, targets), [2 / 3, 0, 1])
        np.testing.assert_allclose(recall_at_n(RANKED, targets, denominator="targets"), [2 / 3, 0, 4 / 5])
        np.testing.assert_allclose(recall_at_n(RANKED, targets, 2), [1 / 2, 0, 1])
        np.testing.assert_array_equal(hit_rate_at_n(RANKED, targets), [1, 0, 1])
        ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
        np.testing.assert_allclose(ndcg_at_n(RANKED, targets), [(1 / math.log2(3) + 1 / math.log2(5)) / ideal, 0, 1])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.integers(1, 15))
def test_ndcg_is_scikit_learns(seed, n):
    rng = np.random.default_rng(seed)
    users, num_items = 4, 15
    scores = rng.permuted(np.tile(np.arange(num_items, dtype=float), (users, 1)), axis=1)
    relevant = rng.random((users, num_items)) < 0.3
    relevant[:, 0] = True
    ranked = np.argsort(-scores, axis=1) + 1
    targets = [np.flatnonzero(row) + 1 for row in relevant]
    for u in range(users):
        expected = ndcg_score(relevant[u : u + 1], scores[u : u + 1], k=n)
        assert ndcg_at_n(ranked[u : u + 1], targets[u : u + 1], n)[0] == pytest.approx(expected)
    together = ndcg_at_n(ranked, targets, n).mean()
    assert together == pytest.approx(ndcg_score(relevant, scores, k=n))
    hits = np.array([len({*ranked[u, :n]} & {*targets[u]}) for u in range(users)])
    np.testing.assert_allclose(recall_at_n(ranked, targets, n, denominator="targets"), hits / relevant.sum(1))


def test_padding_in_a_list_is_no_item_and_no_hit():
    ranked = np.array([[5, 0, 0], [0, 0, 0]])
    np.testing.assert_array_equal(recall_at_n(ranked, np.array([[5, 0], [5, 0]])), [1, 0])
    assert coverage(ranked, 4 + 1) == 1 / 5


def test_coverage_counts_each_item_once_and_no_padding():
    assert coverage(RANKED, 9) == 1.0
    assert coverage(RANKED[:1], 10) == 0.4
    assert coverage(torch.tensor([[1, 2], [2, 1]]), 8) == 0.25
    with pytest.raises(ValueError, match="ranked holds id 9"):
        coverage(RANKED, 8)


def test_intra_list_diversity_by_hand():
    #                       padding        1: a, b        2: b           3: c          4: none
    categories = np.array([[0, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=bool)
    lists = np.array([[1, 2, 3], [1, 2, 0], [3, 4, 0]])
    # pairs: (1,2) 1/2, (1,3) 0, (2,3) 0
    np.testing.assert_allclose(intra_list_diversity(lists, categories), [1 - 0.5 / 3, 0.5, 1])
    same = np.ones((5, 3), dtype=bool)
    np.testing.assert_allclose(intra_list_diversity(lists, same), 0, atol=1e-12)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10_000))
def test_intra_list_diversity_is_the_mean_over_pairs(seed):
    rng = np.random.default_rng(seed)
    categories = rng.random((20, 4)) < 0.5
    categories[0] = False
    ranked = np.array([rng.permutation(19)[:5] + 1 for _ in range(3)])
    expected = []
    for row in ranked:
        pairs = []
        for i in range(5):
            for j in range(i):
                a, b = {*np.flatnonzero(categories[row[i]])}, {*np.flatnonzero(categories[row[j]])}
                pairs.append(len(a & b) / len(a | b) if a | b else 0)
        expected.append(1 - np.mean(pairs))
    np.testing.assert_allclose(intra_list_diversity(ranked, torch.from_numpy(categories)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: recall_at_n(RANKED, [{1}, set(), {2}]), ValueError, "user 1 has no target"),
        (lambda: recall_at_n(RANKED, np.array([1, 0, 2])), ValueError, "user 1 has no target"),
        (lambda: recall_at_n(RANKED, np.array([1, 2])), ValueError, "targets must be 3 ids"),
        (lambda: recall_at_n(RANKED, np.array([1, 2, 3]), 5), ValueError, "n is 5, but the lists have 4"),
        (lambda: recall_at_n(RANKED, np.array([1, 2, 3]), 0), ValueError, "n must be at least 1"),
        (lambda: recall_at_n(RANKED, np.array([1, 2, 3]), denominator="all"), ValueError, "denominator must be one of"),
        (lambda: recall_at_n(RANKED[0], np.array([1])), ValueError, "ranked must have shape"),
        (lambda: recall_at_n(RANKED * 1.0, np.array([1, 2, 3])), TypeError, "ranked must hold integer"),
        (lambda: recall_at_n(RANKED, np.array([1.0, 2, 3])), TypeError, "targets must hold integer"),
        (lambda: recall_at_n(-RANKED, np.array([1, 2, 3])), ValueError, "ranked holds id -9"),
        (lambda: ndcg_at_n(np.array([[1, 2], [3, 3]]), np.array([1, 2])), ValueError, "list 1 .* holds an item twice"),
        (lambda: intra_list_diversity(RANKED, np.ones((10, 2))), TypeError, "categories must be boolean"),
        (lambda: intra_list_diversity(RANKED, np.ones((9, 2), bool)), ValueError, "categories must have shape"),
        (lambda: intra_list_diversity([[1, 0]], np.ones((9, 2), bool)), ValueError, "list 0 has fewer than two"),
    ],
)
def test_bad_lists_give_one_clear_error(call, error, words):
    with pytest.raises(error, match=words):
        call()


# agreement with a planted truth


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_clustering_measures_are_scikit_learns(seed, n):
    rng = np.random.default_rng(seed)
    true, pred = rng.integers(0, 4, n), rng.integers(-2, 3, n)
    assert nmi(true, pred) == pytest.approx(normalized_mutual_info_score(true, pred))
    assert adjusted_rand(true, torch.from_numpy(pred)) == pytest.approx(adjusted_rand_score(true, pred))
    assert purity(true, pred) == pytest.approx(contingency_matrix(true, pred).max(axis=0).sum() / n)


def test_clustering_measures_by_hand():
    true = [0, 0, 0, 1, 1, 1]
    assert purity(true, [5, 5, 5, 2, 2, 2]) == nmi(true, [5, 5, 5, 2, 2, 2]) == adjusted_rand(true, true) == 1
    assert purity(true, [0, 0, 1, 1, 1, 1]) == pytest.approx(5 / 6)
    assert purity(true, [0] * 6) == 0.5
    assert adjusted_rand(true, [0] * 6) == 0
    assert nmi(true, range(6), "min") == pytest.approx(1)
    assert nmi(true, range(6), "max") == pytest.approx(math.log(2) / math.log(6))
    with pytest.raises(ValueError, match="average must be one of"):
        nmi(true, true, "median")
    for bad in ([], [[0]], [0, 1]):
        with pytest.raises(ValueError, match="two non-empty vectors"):
            purity(bad, true)


def test_agreement_counts_real_behaviors_only_user_by_user():
    truth = np.array([[0, 0, 1, 1, 9], [3, 3, 3, 9, 9]])
    mask = truth != 9
    hard = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 1, 1]])
    weights = torch.nn.functional.one_hot(torch.from_numpy(hard), 3) * 0.4 + 0.2
    got = agreement(weights, truth, torch.from_numpy(mask))
    np.testing.assert_allclose(got["purity"], [3 / 4, 1])
    np.testing.assert_allclose(got["adjusted_rand"], [adjusted_rand_score([0, 0, 1, 1], [1, 1, 0, 1]), 1])
    np.testing.assert_allclose(got["nmi"], [normalized_mutual_info_score([0, 0, 1, 1], [1, 1, 0, 1]), 1])
    assert agreement(weights, truth)["purity"][1] == 1.0  # all five count: {3,3,3} and {9,9}
    with pytest.raises(ValueError, match="user 1 has no real behaviour"):
        agreement(weights, truth, mask & np.array([[True], [False]]))
    with pytest.raises(TypeError, match="mask must be boolean"):
        agreement(weights, truth, mask.astype(int))
    with pytest.raises(ValueError, match="truth must have shape"):
        agreement(weights, truth[:, :4])
    with pytest.raises(ValueError, match="weights hold NaN"):
        agreement(weights * torch.nan, truth)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 4), st.integers(1, 4))
def test_agreement_of_all_users_at_once_is_scikit_learns_of_each(seed, length, num_interests, num_true):
    rng = np.random.default_rng(seed)
    weights = rng.random((6, length, num_interests))
    truth = rng.integers(5, 5 + num_true, (6, length))
    mask = rng.random((6, length)) < 0.7
    mask[:, 0] = True
    got = agreement(weights, truth, mask)
    for u in range(6):
        true, pred = truth[u, mask[u]], weights[u, mask[u]].argmax(1)
        assert got["purity"][u] == pytest.approx(purity(true, pred))
        assert got["nmi"][u] == pytest.approx(normalized_mutual_info_score(true, pred), abs=1e-9)
        assert got["adjusted_rand"][u] == pytest.approx(adjusted_rand_score(true, pred), abs=1e-9)


def test_mean_cosine_by_hand():
    v = torch.tensor([[[2.0, 0], [0, 3]], [[1, 1], [5, 5]], [[1, 0], [-4, 0]], [[1, 0], [0, 0]]])
    np.testing.assert_allclose(mean_cosine(v), [0, 1, -1, 0], atol=1e-12)
    three = torch.tensor([[[1.0, 0], [1, 0], [0, 1]]])
    np.testing.assert_allclose(mean_cosine(three), [1 / 3])
    np.testing.assert_allclose(mean_cosine(three, torch.tensor([[True, True, False]])), [1])
    assert np.isnan(mean_cosine(three, torch.tensor([[True, False, False]]))).all()
    np.testing.assert_allclose(mean_cosine(three.double() * 1e-200), [1 / 3])
    three[0, 2] = torch.nan
    np.testing.assert_allclose(mean_cosine(three, torch.tensor([[True, True, False]])), [1])
    with pytest.raises(ValueError, match="interests hold NaN"):
        mean_cosine(three)
    with pytest.raises(ValueError, match="interests must have shape"):
        mean_cosine(three[0])


# comparing two methods


def test_interval_is_the_textbook_one_where_that_holds():
    rng = np.random.default_rng(0)
    difference = rng.normal(0.3, 1, 4000)
    b = rng.normal(0, 5, 4000)
    got = paired_interval(b + difference, b)
    half = 1.96 * difference.std() / math.sqrt(4000)
    assert got.mean == pytest.approx(difference.mean())
    assert got.low == pytest.approx(got.mean - half, abs=0.1 * half)
    assert got.high == pytest.approx(got.mean + half, abs=0.1 * half)
    narrow = paired_interval(b + difference, b, level=0.5)
    assert got.low < narrow.low < narrow.high < got.high


def test_interval_is_repeatable_and_antisymmetric():
    rng = np.random.default_rng(1)
    a, b = rng.random((2, 5, 60))
    assert paired_interval(a, b, seed=3) == paired_interval(a, b, seed=3)
    assert paired_interval(a, b, seed=3) != paired_interval(a, b, seed=4)
    mean, low, high = paired_interval(a, b)
    other = paired_interval(b, a)
    np.testing.assert_allclose([other.mean, other.low, other.high], [-mean, -high, -low], atol=1e-12)


def test_interval_over_runs_covers_what_another_run_would_change():
    rng = np.random.default_rng(2)
    runs = rng.normal(0, 0.5, (6, 1))  # a whole run is better or worse for everyone
    a = runs + rng.normal(0, 0.1, (6, 500))
    both = paired_interval(a, np.zeros_like(a))
    users = paired_interval(a, np.zeros_like(a), resample_seeds=False)
    assert both.mean == users.mean == pytest.approx(a.mean())
    assert users.high - users.low < 0.02
    expected = 2 * 1.96 * runs.std() / math.sqrt(6)
    assert both.high - both.low == pytest.approx(expected, rel=0.25)
    averaged = paired_interval(a.mean(0), np.zeros(500))
    np.testing.assert_allclose(users, averaged, atol=2e-3)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        a = rng.normal(0, 1, 80)
        got = paired_interval(a, np.zeros(80), level=0.9, resamples=400, seed=trial)
        covered += got.low <= 0 <= got.high
    assert 165 <= covered <= 195  # binomial(200, 0.9): 180 +- 3.5 standard deviations


@pytest.mark.parametrize(
    ("a", "b", "options", "words"),
    [
        (np.ones(3), np.ones(4), {}, "must both have shape"),
        (np.ones((1, 2, 3)), np.ones((1, 2, 3)), {}, "must both have shape"),
        (np.ones(1), np.ones(1), {}, "at least two users"),
        (np.array([1, np.nan]), np.ones(2), {}, "must be finite"),
        (np.ones(3), np.ones(3), {"level": 95}, "level must lie between 0 and 1"),
        (np.ones(3), np.ones(3), {"resamples": 0}, "resamples must be at least 1"),
    ],
)
def test_bad_intervals_give_one_clear_error(a, b, options, words):
    with pytest.raises(ValueError, match=words):
        paired_interval(a, b, **options)


def test_spread_is_mean_and_sample_deviation():
    assert spread([1, 2, 3, 4]) == (2.5, pytest.approx(math.sqrt(5 / 3)))
    for bad in ([1], [[1, 2]], [1, math.nan]):
        with pytest.raises(ValueError, match="values"):
            spread(bad)


# evaluate


class Planted:
    """Each user's interests are the vectors of the first two items of the history; no network."""

    def __init__(self, vectors, max_batch=None, mask=None):
        self.vectors, self.training, self.batches, self.mask = vectors, True, [], mask

    def eval(self):
        self.training = False

    def train(self):
        self.training = True

    def item_vectors(self):
        return self.vectors

    def interests(self, history, mask=None, profile=None):
        assert not self.training
        assert torch.equal(mask, history != 0)
        self.batches.append(len(history))
        alive = mask[:, :2] if self.mask else None
        return SimpleNamespace(vectors=self.vectors[history[:, :2]], mask=alive)


@dataclass
class Table:
    history: np.ndarray
    target: np.ndarray
    profile: np.ndarray | None = None


VECTORS = torch.tensor([[9.0, 9], [1, 0], [0.9, 0.1], [0.8, 0.1], [0, 1], [0.1, 0.9], [0.1, 0.8]])


def test_evaluate_by_hand():
    examples = Table(history=np.array([[1, 4], [4, 1], [1, 0]]), target=np.array([5, 3, 6]))
    seen = np.array([[1, 4, 0], [4, 1, 2], [1, 0, 0]])
    model = Planted(VECTORS, mask=True)
    got = evaluate(model, examples, seen, ns=(3, 1), batch_size=2)
    # User 0, interests (1,0), (0,1): 2 and 5 both .9 (the lower id first), then 3 and 6 both .8.
    np.testing.assert_array_equal(got.ranked, [[2, 5, 3], [5, 3, 6], [2, 3, 5]])
    np.testing.assert_array_equal(got.winner, [[0, 1, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(got.picked, [1, 1, 0])
    np.testing.assert_array_equal(got.agreement, [0, 0, 1])
    np.testing.assert_array_equal(got.recall[3], [1, 1, 0])
    np.testing.assert_array_equal(got.recall[1], [0, 0, 0])
    np.testing.assert_allclose(got.ndcg[3], [1 / math.log2(3), 1 / math.log2(3), 0])
    assert list(got.recall) == [1, 3]
    assert got.hit_rate is got.recall
    summary = got.summary()
    assert summary["recall@3"] == pytest.approx(2 / 3)
    assert summary["coverage@3"] == pytest.approx(4 / 6)
    assert summary["agreement"] == pytest.approx(1 / 3)
    assert model.batches == [2, 1]
    assert model.training


def test_evaluate_without_seen_ranks_everything():
    examples = Table(history=np.array([[1, 4]]), target=np.array([4]))
    got = evaluate(Planted(VECTORS), examples, None, ns=(2,))
    np.testing.assert_array_equal(got.ranked, [[1, 4]])
    np.testing.assert_array_equal(got.recall[2], [1])


@pytest.mark.parametrize(
    ("target", "seen", "ns", "words"),
    [
        ([4], [[1, 4]], (2,), "target of example 0 .* is among its seen items"),
        ([7], None, (2,), "targets must lie in 1..6"),
        ([2], [[1, 3], [4, 5]], (2,), "seen must have shape"),
        ([2], [[1, 9]], (2,), "exclude holds id 9"),
        ([2], [[1, 4]], (5,), "n is 5, but only 4 items remain for user 0"),
        ([2], None, (), "ns must name at least one"),
        ([2], None, (0,), "every n in ns must be at least 1"),
    ],
)
def test_evaluate_bad_input_gives_one_clear_error_and_the_mode_is_restored(target, seen, ns, words):
    model = Planted(VECTORS)
    examples = Table(history=np.array([[1, 4]]), target=np.array(target))
    with pytest.raises(ValueError, match=words):
        evaluate(model, examples, None if seen is None else np.array(seen), ns=ns)
    assert model.training


def test_evaluate_ranking_scores_any_lists():
    got = evaluate_ranking(RANKED, np.array([1, 2, 3]), 10, ns=(1, 3))
    np.testing.assert_array_equal(got.recall[1], [0, 1, 0])
    np.testing.assert_array_equal(got.recall[3], [1, 1, 0])
    assert got.agreement is None
    assert "agreement" not in got.summary()
    assert got.summary()["coverage@3"] == 0.8
    with pytest.raises(ValueError, match="ranked has 4 places, but ns asks for 5"):
        evaluate_ranking(RANKED, np.array([1, 2, 3]), 10, ns=(5,))

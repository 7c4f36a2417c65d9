"""Contracts of chapter 1: the mean of tastes, scores and metrics."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from torch import Tensor

from contracts import Chapter, close, contract, draw
from mi_lite import losses, metrics, retrieval
from mi_lite.data import Interactions
from mi_lite.models import SingleVector
from mi_lite.routing import coupling_weights

CHAPTER = Chapter("01_one_user_many_interests")
NOTHING = torch.empty(0, dtype=torch.int64)


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


def all_real(x: Tensor) -> Tensor:
    return torch.ones(x.shape[:2], dtype=torch.bool)


def at_angle(theta: float, dim: int = 5, seed: int = 0) -> Tensor:
    """Two unit vectors at an angle, somewhere in a space of `dim` dimensions: (2, D)."""
    a, b = torch.linalg.qr(draw(dim, 2, seed=seed)).Q.T
    return torch.stack([a, math.cos(theta) * a + math.sin(theta) * b])


ANGLES = (0.4, math.pi / 2, 2.0)


# --------------------------------------------------------------------------------------------------------- item vectors


def undivided_films(data: Interactions, rows: np.ndarray, dim: int) -> Tensor:
    """Takes the singular values whole instead of their square roots."""
    _, sigma, q = np.linalg.svd(scaled_table(data, rows))
    return torch.tensor(q[:dim].T * sigma[:dim])


def scaled_table(data: Interactions, rows: np.ndarray) -> np.ndarray:
    x = np.zeros((data.num_users, data.num_items + 1))
    x[data.user[rows], data.item[rows]] = 1
    people, audience = x.sum(1, keepdims=True), x.sum(0, keepdims=True)
    return x / np.sqrt(np.maximum(people, 1) * np.maximum(audience, 1))


@contract(
    "eq-one-films",
    "The inner products of all film vectors are the square root of the scaled table's: each number of a film's "
    "vector carries one singular value, half of it on the film's side; padding is zero.",
    package=None,
    alone="mi_lite takes no singular vectors: its item vectors are learned",
    chapter=CHAPTER.film_vectors,
    wrong=undivided_films,
)
def films(film_vectors: Callable[..., Tensor]) -> None:
    rng = np.random.default_rng(0)
    seen = rng.random((12, 8)) < 0.5
    user, item = np.nonzero(seen)
    data = Interactions.from_rows(user, item + 1, np.arange(len(user)), num_users=12, num_items=8)
    rows = rng.random(len(data)) < 0.9
    table = scaled_table(data, rows)
    e = np.asarray(film_vectors(data, rows, 8))
    np.testing.assert_allclose(e @ e.T @ e @ e.T, table.T @ table, atol=1e-8)
    few = np.asarray(film_vectors(data, rows, 3))
    sigma = np.linalg.svd(table, compute_uv=False)
    np.testing.assert_allclose(few.T @ few, np.diag(sigma[:3]), atol=1e-8)
    np.testing.assert_allclose(few[0], 0, atol=1e-8)


# --------------------------------------------------------------------------------------------------- the mean of tastes


def packages_mean(x: Tensor) -> Tensor:
    model = SingleVector(1, x.shape[1], hidden=0)
    return model.extract(x[None], all_real(x[None]), NOTHING)[0][0, 0]


def chapters_mean(x: Tensor) -> Tensor:
    return CHAPTER.interests_of(x[None], all_real(x[None]), 1, 0, "share")[0][0, 0]


def mean_of_length_one(x: Tensor) -> Tensor:
    """Makes the mean unit length."""
    return unit(x.mean(0))


@contract(
    "eq-one-mean",
    "The mean of two unit vectors points half-way between them and is as long as the cosine of half their angle.",
    package=packages_mean,
    chapter=chapters_mean,
    wrong=mean_of_length_one,
)
def mean_of_two(mean: Callable[[Tensor], Tensor]) -> None:
    for theta in ANGLES:
        tastes = at_angle(theta)
        m = mean(tastes)
        close(m.norm(), torch.tensor(math.cos(theta / 2), dtype=m.dtype))
        cosines = torch.cosine_similarity(m[None], tastes)
        close(cosines, torch.full_like(cosines, math.cos(theta / 2)))


@contract(
    "eq-one-score",
    "The mean of two tastes scores both alike: half of one plus the cosine of their angle.",
    package=packages_mean,
    chapter=chapters_mean,
    wrong=mean_of_length_one,
)
def score_of_two(mean: Callable[[Tensor], Tensor]) -> None:
    for theta in ANGLES:
        tastes = at_angle(theta)
        scores = tastes @ mean(tastes)
        close(scores, torch.full_like(scores, (1 + math.cos(theta)) / 2))
        close(scores, torch.full_like(scores, math.cos(theta / 2) ** 2))


def packages_list(interests: Tensor, items: Tensor, n: int) -> list[int]:
    return retrieval.top_n(interests[None], items, n).items[0].tolist()


def chapters_list(interests: Tensor, items: Tensor, n: int) -> list[int]:
    return CHAPTER.top_n(interests, items, n, NOTHING).tolist()


def with_padding(items: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1, items.shape[1], dtype=items.dtype), items])


def best_of_both(tastes: Tensor, items: Tensor) -> int:
    """Scores by the better of the two tastes instead of by their mean."""
    return packages_list(tastes, items, 1)[0]


@contract(
    "eq-one-third",
    "A third concept comes before both tastes exactly when its two cosines with them add up to more than one plus "
    "the cosine of their angle.",
    package=lambda tastes, items: packages_list(packages_mean(tastes)[None], items, 1)[0],
    chapter=lambda tastes, items: chapters_list(chapters_mean(tastes)[None], items, 1)[0],
    wrong=best_of_both,
)
def third(first: Callable[[Tensor, Tensor], int]) -> None:
    passed = []
    for seed, theta in itertools.product(range(20), ANGLES):
        tastes = at_angle(theta, dim=3, seed=seed)
        other = unit(tastes.sum(0) + draw(3, seed=seed))
        should = bool((tastes @ other).sum() > 1 + math.cos(theta))
        assert (first(tastes, with_padding(torch.cat([tastes, other[None]]))) == 3) == should
        passed.append(should)
    assert 10 < sum(passed) < 50  # both cases were met


@contract(
    "eq-one-many",
    "The mean of K tastes at right angles is one over the root of K long, scores each taste 1/K, and any other "
    "concept by the mean of its cosines with them.",
    package=packages_mean,
    chapter=chapters_mean,
    wrong=mean_of_length_one,
)
def mean_of_many(mean: Callable[[Tensor], Tensor]) -> None:
    for k in (2, 4, 7):
        tastes, other = torch.linalg.qr(draw(9, k, seed=k)).Q.T, unit(draw(9, seed=k))
        m = mean(tastes)
        close(m.norm(), torch.tensor(k**-0.5, dtype=m.dtype))
        close(tastes @ m, torch.full((k,), 1 / k, dtype=m.dtype))
        close(other @ m, (tastes @ other).mean())


def counted_by_the_package(concepts: int, interests: int, dim: int, users: int = 1500) -> float:
    """Counts how many random concepts the mean of K tastes at right angles scores above them."""
    own = torch.linalg.qr(draw(users, dim, interests)).Q.mT
    others = unit(draw(users, concepts - interests, dim, seed=1))
    scores = losses.candidate_scores(own, own[:, 0], others, rule="label_aware", power=0.0)
    return float((scores > 1 / interests).sum(1).double().mean())


def both_caps(concepts: int, interests: int, dim: int) -> float:
    """Counts the cap on the far side of the sphere too."""
    return 2 * (concepts - interests) * cap(interests, dim)


def cap(interests: int, dim: int) -> float:
    """The share of the sphere whose cosine with a direction exceeds 1/√K, by adding up thin rings."""
    angles = (np.arange(200_000) + 0.5) * np.pi / 200_000
    rings = np.sin(angles) ** (dim - 2)
    return float(rings[angles < np.arccos(interests**-0.5)].sum() / rings.sum())


@contract(
    "eq-one-crowd",
    "The expected number of strangers before K own tastes is the number of other concepts times the cap's share of "
    "the sphere; the normal distribution is off by less than one stranger among a hundred concepts.",
    package=counted_by_the_package,
    chapter=CHAPTER.intruders,
    wrong=both_caps,
)
def crowd(intruders: Callable[[int, int, int], float]) -> None:
    for concepts, k, dim in ((100, 4, 8), (100, 2, 8), (60, 8, 12), (100, 4, 16)):
        expected = (concepts - k) * cap(k, dim)
        np.testing.assert_allclose(intruders(concepts, k, dim), expected, rtol=0.05)
        approximation = (concepts - k) * NormalDist().cdf(-math.sqrt(dim / k))
        np.testing.assert_allclose(approximation, expected, atol=(concepts - k) / 100)


# -------------------------------------------------------------------------------------------------------- scores, lists


def by_cosine(interests: Tensor, items: Tensor, n: int) -> list[int]:
    """Scores by the cosine, so that an item's length has no part."""
    return packages_list(interests, torch.cat([items[:1], unit(items[1:])]), n)


@contract(
    "eq-one-two-towers",
    "A list is ordered by the inner product of user and item vector, and an item's score does not depend on which "
    "other items there are.",
    package=packages_list,
    chapter=chapters_list,
    wrong=by_cosine,
)
def two_towers(ranked: Callable[[Tensor, Tensor, int], list[int]]) -> None:
    user, items = draw(1, 6), with_padding(draw(40, 6, seed=1))
    scores = [sum(float(v) * float(e) for v, e in zip(user[0], item, strict=True)) for item in items]
    order = sorted(range(1, 41), key=lambda i: -scores[i])
    assert ranked(user, items, 40) == order
    assert ranked(user, items[:21], 20) == [i for i in order if i <= 20]


def the_best_of_all(interests: Tensor, items: Tensor, n: int) -> list[int]:
    """Takes the maximum over the interests instead of the sum."""
    return packages_list(interests, items, n)


@contract(
    "eq-one-sum",
    "Adding up an item's scores over K interests gives the list of one vector, the interests' sum.",
    package=lambda interests, items, n: packages_list(interests.sum(0, keepdim=True), items, n),
    chapter=lambda interests, items, n: chapters_list(interests.sum(0, keepdim=True), items, n),
    wrong=the_best_of_all,
)
def sum_is_one_vector(ranked: Callable[[Tensor, Tensor, int], list[int]]) -> None:
    for seed in range(5):
        interests, items = draw(4, 6, seed=seed), with_padding(draw(40, 6, seed=10 + seed))
        summed = torch.stack([items[1:] @ v for v in interests]).sum(0)
        assert ranked(interests, items, 20) == (summed.argsort(descending=True)[:20] + 1).tolist()


def first_interest_only(interests: Tensor, items: Tensor, n: int) -> list[int]:
    """Searches interest 0 only."""
    return packages_list(interests[:1], items, n)


@contract(
    "eq-one-max-score",
    "An item's score is its inner product with the interest that likes it best; the list is ordered by it.",
    package=packages_list,
    chapter=chapters_list,
    wrong=first_interest_only,
)
def best_score(ranked: Callable[[Tensor, Tensor, int], list[int]]) -> None:
    for seed in range(5):
        interests, items = draw(4, 6, seed=seed), with_padding(draw(40, 6, seed=10 + seed))
        best = [max(float(v @ e) for v in interests) for e in items]
        assert ranked(interests, items, 20) == sorted(range(1, 41), key=lambda i: -best[i])[:20]


# -------------------------------------------------------------------------------------------------------------- metrics


def of_one(metric: Callable[..., Any]) -> Callable[[list[int], list[int]], float]:
    return lambda ranked, targets: float(metric(np.array([ranked]), [targets])[0])


def by_number_of_targets(ranked: list[int], targets: list[int]) -> float:
    """Divides by the number of targets, even where the list is shorter."""
    return len(set(ranked) & set(targets)) / len(set(targets))


LIST = [7, 2, 9, 4, 1]


@contract(
    "eq-one-recall",
    "Recall is the share of the targets found, among as many as the list could hold: a perfect list has recall 1, "
    "the order plays no part.",
    package=of_one(metrics.recall_at_n),
    chapter=CHAPTER.recall_at_n,
    wrong=by_number_of_targets,
)
def recall(recall_at_n: Callable[[list[int], list[int]], float]) -> None:
    for targets, value in (([9], 1), ([3], 0), ([2, 3], 1 / 2), ([7, 4, 3, 8], 2 / 4), ([1, 2, 4, 7, 9, 11, 12], 1)):
        for ranked in (LIST, LIST[::-1]):
            np.testing.assert_allclose(recall_at_n(ranked, targets), value)


def ndcg_by_hits(ranked: list[int], targets: list[int]) -> float:
    """Discounts by the place among the targets, so that the place in the list never enters."""
    found = [1 / math.log2(place + 2) for place, item in enumerate(targets) if item in ranked]
    return sum(found) / sum(1 / math.log2(r + 2) for r in range(len(found))) if found else 0.0


@contract(
    "eq-one-ndcg",
    "A hit at place r counts one over log2 of r + 1, divided by what a perfect list would have: higher places count"
    " more, and targets in front give 1.",
    package=of_one(metrics.ndcg_at_n),
    chapter=CHAPTER.ndcg_at_n,
    wrong=ndcg_by_hits,
)
def ndcg(ndcg_at_n: Callable[[list[int], list[int]], float]) -> None:
    for place, item in enumerate(LIST, start=1):
        np.testing.assert_allclose(ndcg_at_n(LIST, [item]), 1 / math.log2(place + 1))
    np.testing.assert_allclose(ndcg_at_n(LIST, [9, 2, 7]), 1)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    np.testing.assert_allclose(ndcg_at_n(LIST, [4, 2, 30]), (1 / math.log2(3) + 1 / math.log2(5)) / ideal)


def share_of_the_first(ranked: list[int], categories: np.ndarray) -> tuple[float, None]:
    """Divides the common genres by those of the first item instead of by those of either."""
    pairs = [(categories[i], categories[j]) for i, j in itertools.combinations(ranked, 2)]
    return 1 - float(np.mean([(a & b).sum() / max(a.sum(), 1) for a, b in pairs])), None


@contract(
    "eq-one-diversity",
    "Diversity is 0 for items of the same genres, 1 for items that share none, and does not depend on the order; "
    "coverage is the share of the catalogue in some list.",
    package=lambda ranked, categories: (
        float(metrics.intra_list_diversity(np.array([ranked]), categories)[0]),
        metrics.coverage(np.array([ranked]), len(categories) - 1),
    ),
    chapter=lambda ranked, categories: (CHAPTER.diversity(ranked, categories), None),
    wrong=share_of_the_first,
)
def diversity(measure: Callable[[list[int], np.ndarray], tuple[float, float | None]]) -> None:
    table = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0]], dtype=bool)
    for ranked, value in (
        ([1, 2], 0),
        ([1, 3], 1),
        ([1, 4], 1 / 2),
        ([4, 1], 1 / 2),
        ([3, 4], 2 / 3),
        ([1, 3, 4], 13 / 18),
    ):
        found, covered = measure(ranked, table)
        np.testing.assert_allclose(found, value, rtol=1e-6, atol=1e-7)
        if covered is not None:  # the chapter's own code has no coverage, it takes the package's
            np.testing.assert_allclose(covered, len(ranked) / 4)


# ------------------------------------------------------------------------------------------------------ voices by share


def packages_shares(x: Tensor, mask: Tensor, clusters: int) -> Tensor:
    weights = coupling_weights(draw(*mask.shape, clusters, scale=50), mask)
    return weights.mT @ x / mask.sum(1)[:, None, None]


def equal_voices(x: Tensor, mask: Tensor, clusters: int) -> Tensor:
    """Gives every group the same voice, whatever it holds."""
    return CHAPTER.interests_of(x, mask, clusters, 0, "equal")[0]


@contract(
    "eq-one-voice",
    "With a voice by share, a user's interests add up to the one mean of the history; padding has no part.",
    package=packages_shares,
    chapter=lambda x, mask, clusters: CHAPTER.interests_of(x, mask, clusters, 0, "share")[0],
    wrong=equal_voices,
)
def shares_add_up(interests: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    x, lengths = draw(4, 7, 3), torch.tensor([7, 5, 4, 6])
    mask = torch.arange(7) < lengths[:, None]
    mean = torch.stack([row[:n].mean(0) for row, n in zip(x, lengths, strict=True)])
    for clusters in (1, 2, 3):
        close(interests(x, mask, clusters).sum(1), mean)

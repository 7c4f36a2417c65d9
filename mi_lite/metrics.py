"""Metrics: torch or NumPy in, NumPy out, one number a user, so that two methods can be compared user by user.

Lists hold item ids, best first. Item 0 is padding: in a list it stands for "no item here", among targets for "none".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score
from torch import Tensor

from mi_lite.checks import at_least_one, choose
from mi_lite.retrieval import best_interest, best_of, check_arguments, rows_at_once

if TYPE_CHECKING:
    from mi_lite.data import Examples

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
Targets = Tensor | NDArray[Any] | Sequence[Iterable[int]] | Sequence[int]

DENOMINATORS = ("min", "targets")
AVERAGES = ("arithmetic", "geometric", "min", "max")


# ---------------------------------------------------------------------------------------------------- ranked lists


def recall_at_n(
    ranked: Tensor | NDArray[Any], targets: Targets, n: int | None = None, *, denominator: str = "min"
) -> Floats:
    """Recall@n of every user: the share of the user's targets found among the first n.

    The hits are divided by ``min(n, number of targets)``, so that a perfect list reaches 1 whatever n is, or with
    ``denominator="targets"`` by the number of targets, as information retrieval does. With one target a user
    (leave-one-out) both are the same, and equal to the hit rate.

    Args:
        ranked: ``(B, n)`` item ids, best first; 0 for no item.
        targets: ``(B,)`` one id a user; or ``(B, M)`` padded with 0; or B collections of ids. A target that is named
            twice counts once.
        n: only the first n places; None: all.
        denominator: ``"min"`` or ``"targets"``.

    Returns:
        ``(B,)``.

    Raises:
        TypeError: if ids are not integers.
        ValueError: for a wrong shape, an item twice in a list, a user without targets, or n beyond the list.
    """
    choose(denominator, DENOMINATORS, "denominator")
    hits, number = _hits(ranked, targets, n)
    divisor = np.minimum(hits.shape[1], number) if denominator == "min" else number
    return np.asarray(hits.sum(axis=1) / divisor)


def hit_rate_at_n(ranked: Tensor | NDArray[Any], targets: Targets, n: int | None = None) -> Floats:
    """HitRate@n of every user: 1 if any of the user's targets is among the first n, else 0.

    Arguments and errors: see `recall_at_n`. Returns ``(B,)``.
    """
    hits, _ = _hits(ranked, targets, n)
    return np.asarray(hits.any(axis=1), dtype=np.float64)


def ndcg_at_n(ranked: Tensor | NDArray[Any], targets: Targets, n: int | None = None) -> Floats:
    r"""NDCG@n of every user, with relevance 1 for a target and 0 otherwise.

    A hit at place r (from 1) counts :math:`1/\log_2(r+1)`; the sum is divided by that of the best list possible, which
    has its first :math:`\min(n, |\text{targets}|)` places filled with targets.

    Arguments and errors: see `recall_at_n`. Returns ``(B,)``.
    """
    hits, number = _hits(ranked, targets, n)
    gains = 1 / np.log2(np.arange(hits.shape[1]) + 2)
    ideal = np.cumsum(gains)[np.minimum(hits.shape[1], number) - 1]
    return np.asarray((hits * gains).sum(axis=1) / ideal)


def coverage(ranked: Tensor | NDArray[Any], num_items: int) -> float:
    """The share of the catalogue's items 1..N that stand in at least one list. Padding does not count, on either side.

    Args:
        ranked: ``(B, n)`` item ids; 0 for no item.
        num_items: N.

    Raises:
        ValueError: for a wrong shape or an id above N.
    """
    at_least_one(num_items, "num_items")
    found = np.unique(_lists(ranked))
    if found[-1] > num_items:
        raise ValueError(f"ranked holds id {found[-1]}, but num_items is {num_items}")
    return float((found > 0).sum() / num_items)


def intra_list_diversity(ranked: Tensor | NDArray[Any], categories: Tensor | NDArray[Any]) -> Floats:
    r"""Intra-list diversity of every user: 1 minus the mean Jaccard similarity over all pairs of items in the list.

    The Jaccard similarity of two items is :math:`|A \cap B| / |A \cup B|` of their categories: 1 for the same
    categories, 0 for none in common. Two items without any category share nothing, so their similarity is 0.

    Args:
        ranked: ``(B, n)`` item ids; places with 0 are left out.
        categories: ``(N + 1, C)`` boolean.

    Returns:
        ``(B,)``, between 0 and 1.

    Raises:
        TypeError: if ``categories`` is not boolean.
        ValueError: for a wrong shape, an id outside ``categories``, or a list of fewer than two items.
    """
    ids = _lists(ranked)
    table = _numpy(categories)
    if table.dtype != np.bool_:
        raise TypeError(f"categories must be boolean, got {table.dtype}")
    if table.ndim != 2 or ids.max() >= len(table):
        raise ValueError(f"categories must have shape (N+1, C) with N at least {ids.max()}, got {table.shape}")
    real = ids > 0
    number = real.sum(axis=1)
    if (number < 2).any():
        raise ValueError(f"list {int((number < 2).argmax())} has fewer than two items, so it has no pair to compare")
    diversity = np.empty(len(ids))
    for start in range(0, len(ids), 1024):
        rows = slice(start, start + 1024)
        x = (table[ids[rows]] & real[rows, :, None]).astype(np.float32)
        both = np.matmul(x, x.transpose(0, 2, 1))
        size = x.sum(axis=2)
        either = size[:, :, None] + size[:, None, :] - both
        similarity = np.divide(both, either, out=np.zeros_like(both), where=either > 0).astype(np.float64)
        off = similarity.sum(axis=(1, 2)) - similarity.trace(axis1=1, axis2=2)
        diversity[rows] = 1 - off / (number[rows] * (number[rows] - 1))
    return diversity


# ------------------------------------------------------------------------------------- agreement with a planted truth


def purity(labels_true: Any, labels_pred: Any) -> float:
    """Purity of a clustering: the share of elements that belong to the commonest true label of their cluster.

    1 is best; many small clusters reach it too, so read it beside `adjusted_rand`.

    Raises:
        ValueError: if the two are not one-dimensional, of equal length and non-empty.
    """
    true, pred = _labels(labels_true, labels_pred)
    _, t = np.unique(true, return_inverse=True)
    _, p = np.unique(pred, return_inverse=True)
    table = np.zeros((p.max() + 1, t.max() + 1), dtype=np.int64)
    np.add.at(table, (p, t), 1)
    return float(table.max(axis=1).sum() / len(t))


def nmi(labels_true: Any, labels_pred: Any, average: str = "arithmetic") -> float:
    """Normalised mutual information, scikit-learn's: I(true; pred) over a mean of the two entropies.

    Args:
        labels_true: n labels.
        labels_pred: n labels.
        average: which mean: ``"arithmetic"`` (scikit-learn's default), ``"geometric"``, ``"min"`` or ``"max"``. Papers
            differ, so name it.

    Raises:
        ValueError: if the two are not one-dimensional, of equal length and non-empty, or for an unknown mean.
    """
    choose(average, AVERAGES, "average")
    return float(normalized_mutual_info_score(*_labels(labels_true, labels_pred), average_method=average))


def adjusted_rand(labels_true: Any, labels_pred: Any) -> float:
    """The adjusted Rand index, scikit-learn's: 1 for the same grouping, about 0 for a random one.

    Raises:
        ValueError: if the two are not one-dimensional, of equal length and non-empty.
    """
    return float(adjusted_rand_score(*_labels(labels_true, labels_pred)))


def agreement(
    weights: Tensor | NDArray[Any], truth: Tensor | NDArray[Any], mask: Tensor | NDArray[Any] | None = None
) -> dict[str, Floats]:
    """How well a grouping of behaviours agrees with the true one, user by user.

    Every real behaviour is given to the interest with the largest weight (the lowest of equal ones). The measures are
    those of `purity`, `nmi` (arithmetic mean) and `adjusted_rand`, computed for all users at once.

    Args:
        weights: ``(B, T, K)``, for example the coupling weights of routing.
        truth: ``(B, T)`` integers, the true interest of each behaviour.
        mask: ``(B, T)`` boolean, True where a behaviour is real. None: all are.

    Returns:
        ``{"purity": (B,), "nmi": (B,), "adjusted_rand": (B,)}``.

    Raises:
        TypeError: if ``mask`` is not boolean.
        ValueError: for a wrong shape, NaN, or a user without a real behaviour.
    """
    w, true = _numpy(weights), _numpy(truth)
    if w.ndim != 3 or 0 in w.shape:
        raise ValueError(f"weights must have shape (B, T, K) with no empty dimension, got {w.shape}")
    if true.shape != w.shape[:2]:
        raise ValueError(f"truth must have shape (B, T) = {w.shape[:2]}, got {true.shape}")
    if not np.isfinite(w).all():
        raise ValueError("weights hold NaN or infinite numbers; expected finite ones")
    real = _mask(mask, w.shape[:2], "mask", "(B, T)")
    if not real.any(axis=1).all():
        raise ValueError(f"user {int((~real.any(axis=1)).argmax())} has no real behaviour")
    # All users at once: how many behaviours of each true interest went to each interest, (B, C, K).
    _, labels = np.unique(true, return_inverse=True)
    labels = labels.reshape(true.shape)
    user, _ = np.nonzero(real)
    table = np.zeros((len(w), labels.max() + 1, w.shape[2]))
    np.add.at(table, (user, labels[real], w.argmax(axis=2)[real]), 1)
    n, of_true, of_pred = table.sum(axis=(1, 2)), table.sum(axis=2), table.sum(axis=1)

    def entropy(counts: Floats) -> Floats:
        share = counts / n.reshape(-1, *[1] * (counts.ndim - 1))
        return -(share * np.log(np.where(share > 0, share, 1))).reshape(len(n), -1).sum(axis=1)

    def pairs(counts: Floats) -> Floats:
        return (counts * (counts - 1) / 2).reshape(len(n), -1).sum(axis=1)

    single = (of_true > 0).sum(axis=1) + (of_pred > 0).sum(axis=1) == 2  # one group on either side: the same grouping
    mean = (entropy(of_true) + entropy(of_pred)) / 2
    information = np.maximum(2 * mean - entropy(table), 0)
    by_chance = pairs(of_true) * pairs(of_pred) / np.maximum(n * (n - 1) / 2, 1)
    best = (pairs(of_true) + pairs(of_pred)) / 2
    same = best <= by_chance  # both put all in one group, or everything apart
    return {
        "purity": table.max(axis=1).sum(axis=1) / n,
        "nmi": np.where(single, 1.0, information / np.where(mean > 0, mean, 1)),
        "adjusted_rand": np.where(same, 1.0, (pairs(table) - by_chance) / np.where(same, 1, best - by_chance)),
    }


def mean_cosine(interests: Tensor | NDArray[Any], interest_mask: Tensor | NDArray[Any] | None = None) -> Floats:
    """The mean cosine over all pairs of a user's interests: near 1 where they are copies of each other.

    The cosine with a zero vector counts as 0. A user with fewer than two interests has no pair: NaN.

    Args:
        interests: ``(B, K, D)``.
        interest_mask: ``(B, K)`` boolean, True where the user has this interest. None: all count.

    Returns:
        ``(B,)``.

    Raises:
        TypeError: if ``interest_mask`` is not boolean.
        ValueError: for a wrong shape or NaN in an interest that counts.
    """
    v = _numpy(interests).astype(np.float64)
    if v.ndim != 3 or 0 in v.shape:
        raise ValueError(f"interests must have shape (B, K, D) with no empty dimension, got {v.shape}")
    real = _mask(interest_mask, v.shape[:2], "interest_mask", "(B, K)")
    v = np.where(real[:, :, None], v, 0)
    if not np.isfinite(v).all():
        raise ValueError("interests hold NaN or infinite numbers; expected finite ones")
    v = v / np.maximum(np.abs(v).max(axis=2, keepdims=True), np.finfo(np.float64).tiny)  # no under- or overflow
    v = v / np.maximum(np.linalg.norm(v, axis=2, keepdims=True), np.finfo(np.float64).tiny)
    pairs = np.square(v.sum(axis=1)).sum(axis=1) - np.square(v).sum(axis=(1, 2))
    number = real.sum(axis=1)
    return np.where(number > 1, pairs / np.maximum(number * (number - 1), 1), np.nan)


# ---------------------------------------------------------------------------------------------- comparing two methods


class Interval(NamedTuple):
    """A mean difference and the interval around it."""

    mean: float
    low: float
    high: float


def paired_interval(
    a: Any, b: Any, *, level: float = 0.95, resamples: int = 2000, seed: int = 0, resample_seeds: bool = True
) -> Interval:
    """The mean of ``a - b`` over users, with a bootstrap interval (percentile) for it.

    Both methods must be measured on the same users in the same order. With one run each, users are drawn with
    replacement, and the interval answers: how far might the difference move with other users like these?

    With several training runs (seeds), the difference is averaged over both, and runs are drawn too, independently of
    users (Owen 2007, the *pigeonhole bootstrap*), so that the interval also holds what another run would change; it is
    slightly wide for many noisy users and, having few runs to draw from, no substitute for more of them. With
    ``resample_seeds=False`` only users are drawn: it then speaks of these very runs.

    Args:
        a: ``(users,)`` or ``(seeds, users)``, one number a user.
        b: of the same shape.
        level: of the interval.
        resamples: how many times to draw.
        seed: of the draws.
        resample_seeds: draw runs as well as users; without effect for a single run.

    Returns:
        `Interval`, a tuple (mean, low, high).

    Raises:
        ValueError: for a wrong shape, fewer than two users, NaN, or a level outside (0, 1).
    """
    x, y = _numpy(a).astype(np.float64), _numpy(b).astype(np.float64)
    if x.shape != y.shape or x.ndim not in (1, 2):
        raise ValueError(f"a and b must both have shape (users,) or (seeds, users), got {x.shape} and {y.shape}")
    if x.shape[-1] < 2 or x.size == 0:
        raise ValueError(f"an interval needs at least two users, got shape {x.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a and b must be finite; leave out users without a value in both")
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    at_least_one(resamples, "resamples")
    rng = np.random.default_rng(seed)
    difference = np.atleast_2d(x - y)
    mean = float(difference.mean())
    if not resample_seeds:
        difference = difference.mean(axis=0, keepdims=True)
    seeds, users = difference.shape
    means = np.empty(resamples)
    chunk = max(1, 2_000_000 // users)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        of_users = rng.multinomial(users, np.full(users, 1 / users), size=size) / users
        of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=size) / seeds
        means[start : start + size] = ((of_users @ difference.T) * of_seeds).sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean, float(low), float(high))


def spread(values: Any) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1 below) of one number a run.

    Raises:
        ValueError: for fewer than two runs, more than one dimension, or NaN.
    """
    x = _numpy(values).astype(np.float64)
    if x.ndim != 1 or len(x) < 2:
        raise ValueError(f"values must be one-dimensional with at least two runs, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("values hold NaN or infinite numbers; expected finite ones")
    return float(x.mean()), float(x.std(ddof=1))


# ----------------------------------------------------------------------------------------------------------- evaluate


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` and `evaluate_ranking` return: numbers of every user, in the order of the examples."""

    recall: dict[int, Floats]  #: n -> (users,)
    ndcg: dict[int, Floats]  #: n -> (users,)
    ranked: Ids  #: (users, largest n) item ids, best first
    num_items: int  #: N
    winner: Ids | None = None  #: (users, largest n), the interest that ranked the item; models only
    picked: Ids | None = None  #: (users,), the interest that scores the target best; models only

    @property
    def hit_rate(self) -> dict[int, Floats]:
        """n -> (users,). With one target a user the same as recall."""
        return self.recall

    @property
    def agreement(self) -> Floats | None:
        """(users,): 1 where the interest that ranked the first item is the one the target would pick, else 0."""
        if self.winner is None or self.picked is None:
            return None
        return (self.winner[:, 0] == self.picked).astype(np.float64)

    def summary(self) -> dict[str, float]:
        """Means over users by name (``recall@20``, ``ndcg@20``, ``coverage@20``, ``agreement``)."""
        row = {}
        for n in self.recall:
            row[f"recall@{n}"] = float(self.recall[n].mean())
            row[f"ndcg@{n}"] = float(self.ndcg[n].mean())
            row[f"coverage@{n}"] = coverage(self.ranked[:, :n], self.num_items)
        if self.agreement is not None:
            row["agreement"] = float(self.agreement.mean())
        return row


@torch.no_grad()
def evaluate(
    model: Any,
    examples: Examples,
    seen: Tensor | NDArray[Any] | None,
    ns: Sequence[int] = (20, 50),
    batch_size: int = 1024,
) -> Evaluation:
    """Rank the whole catalogue for every example as it would be served, and score the lists.

    Served means: the target is unknown, and an item's score is its best over the user's interests, as in
    `mi_lite.retrieval.top_n`. Dropout
    and the like are off while this runs; the model is handed back in the mode it came in.

    Args:
        model: has ``interests(history, mask=..., profile=...)`` with ``.vectors`` (B, K, D) and ``.mask`` (B, K) or
            None, and ``item_vectors()`` of shape (N + 1, D).
        examples: histories and targets, one target each.
        seen: ``(examples, M)`` ids that are not ranked for that user, 0 for nothing: what the user met before the
            target (``splits.seen_before(examples)``). None: everything is ranked.
        ns: the lengths of list to score.
        batch_size: users at a time, at most.

    Returns:
        `Evaluation`.

    Raises:
        ValueError: for a wrong shape, a target outside 1..N, a target among the user's own seen items (it could never
            be found), or fewer items left than the largest n.
    """
    at_least_one(batch_size, "batch_size")
    lengths = _lengths(ns)
    excluded = None if seen is None else _ids(seen, "seen")
    target = _ids(examples.target, "targets")
    if excluded is not None:
        if excluded.ndim != 2 or len(excluded) != len(target):
            raise ValueError(f"seen must have shape ({len(target)}, M), got {excluded.shape}")
        lost = (excluded == target[:, None]).any(axis=1)
        if lost.any():
            raise ValueError(
                f"the target of example {int(lost.argmax())} (and {int(lost.sum()) - 1} more) is among its seen items, "
                "so it could never be found; drop repeated interactions or pass seen=None"
            )
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        item_vectors = model.item_vectors()
        device = item_vectors.device
        num_items = len(item_vectors) - 1
        if target.min() < 1 or target.max() > num_items:
            raise ValueError(f"targets must lie in 1..{num_items}, got {target.min()}..{target.max()}")
        ranked, winner, picked = [], [], []
        batch_size = rows_at_once(batch_size, len(item_vectors))
        for start in range(0, len(target), batch_size):
            rows = slice(start, start + batch_size)
            history = torch.as_tensor(examples.history[rows], device=device)
            profile = None if examples.profile is None else torch.as_tensor(examples.profile[rows], device=device)
            user = model.interests(history, mask=history != 0, profile=profile)
            vectors, kept = user.vectors, user.mask
            some = None if excluded is None else torch.as_tensor(excluded[rows], device=device)
            kept, some = check_arguments(vectors, item_vectors, lengths[-1], kept, some)
            best, interest = best_interest(vectors, item_vectors, kept)
            items, _ = best_of(best, lengths[-1], some, first_row=start)
            ranked.append(items.cpu().numpy())
            winner.append(interest.gather(1, items).long().cpu().numpy())
            targets = torch.as_tensor(target[rows], device=device)
            picked.append(interest.gather(1, targets[:, None])[:, 0].long().cpu().numpy())
    finally:
        if training:
            model.train()
    return _evaluation(
        np.concatenate(ranked), target, lengths, num_items, np.concatenate(winner), np.concatenate(picked)
    )


def evaluate_ranking(
    ranked: Tensor | NDArray[Any], target: Tensor | NDArray[Any], num_items: int, ns: Sequence[int] = (20, 50)
) -> Evaluation:
    """Score lists that were ranked by anything, such as a baseline that is no model.

    Args:
        ranked: ``(users, at least the largest n)`` item ids, best first.
        target: ``(users,)``.
        num_items: N.
        ns: the lengths of list to score.

    Raises:
        ValueError: for a wrong shape, lists shorter than the largest n, or an item twice in a list.
    """
    lengths = _lengths(ns)
    lists = _lists(ranked)
    if lists.shape[1] < lengths[-1]:
        raise ValueError(f"ranked has {lists.shape[1]} places, but ns asks for {lengths[-1]}")
    return _evaluation(lists[:, : lengths[-1]], _ids(target, "target"), lengths, num_items)


def _evaluation(
    ranked: Ids, target: Ids, ns: list[int], num_items: int, winner: Ids | None = None, picked: Ids | None = None
) -> Evaluation:
    return Evaluation(
        recall={n: recall_at_n(ranked, target, n) for n in ns},
        ndcg={n: ndcg_at_n(ranked, target, n) for n in ns},
        ranked=ranked,
        num_items=num_items,
        winner=winner,
        picked=picked,
    )


# ------------------------------------------------------------------------------------------------------------- checks


def _numpy(x: Any) -> NDArray[Any]:
    return x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)


def _ids(x: Any, name: str) -> Ids:
    ids = _numpy(x)
    if not np.issubdtype(ids.dtype, np.integer):
        raise TypeError(f"{name} must hold integer item ids, got {ids.dtype}")
    if ids.size and ids.min() < 0:
        raise ValueError(f"{name} holds id {ids.min()}; expected ids of at least 0")
    return ids.astype(np.int64)


def _lists(ranked: Any) -> Ids:
    ids = _ids(ranked, "ranked")
    if ids.ndim != 2 or 0 in ids.shape:
        raise ValueError(f"ranked must have shape (B, n) with no empty dimension, got {ids.shape}")
    ordered = np.sort(ids, axis=1)
    twice = ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)).any(axis=1)
    if twice.any():
        raise ValueError(f"list {int(twice.argmax())} of ranked holds an item twice")
    return ids


def _hits(ranked: Any, targets: Any, n: int | None) -> tuple[NDArray[np.bool_], Ids]:
    """Which places of the lists hold a target ``(B, n)``, and how many targets every user has ``(B,)``."""
    ids = _lists(ranked)
    if n is not None:
        if at_least_one(n, "n") > ids.shape[1]:
            raise ValueError(f"n is {n}, but the lists have {ids.shape[1]} places")
        ids = ids[:, :n]
    if isinstance(targets, Tensor | np.ndarray):
        wanted = _ids(targets, "targets")
        wanted = wanted[:, None] if wanted.ndim == 1 else wanted
    else:
        rows = [[row] if isinstance(row, int | np.integer) else list(row) for row in targets]
        wanted = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int64)
        for row, some in zip(wanted, rows, strict=True):
            row[: len(some)] = _ids(some, "targets") if some else 0
    if wanted.ndim != 2 or len(wanted) != len(ids):
        raise ValueError(f"targets must be {len(ids)} ids or collections, one a list; got shape {wanted.shape}")
    # One key for each pair (user, item), so that all users are compared at once.
    span = 1 + max(int(ids.max()), int(wanted.max(initial=0)))
    user = np.arange(len(ids))[:, None]
    keys = np.unique((user * span + wanted)[wanted > 0])
    number = np.bincount(keys // span, minlength=len(ids))
    if (number == 0).any():
        raise ValueError(f"user {int((number == 0).argmax())} has no target; leave such users out")
    return np.isin(user * span + ids, keys), number


def _labels(labels_true: Any, labels_pred: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    true, pred = _numpy(labels_true), _numpy(labels_pred)
    if true.ndim != 1 or true.shape != pred.shape or not len(true):
        raise ValueError(f"labels must be two non-empty vectors of one length, got shapes {true.shape}, {pred.shape}")
    return true, pred


def _mask(mask: Any, shape: tuple[int, ...], name: str, letters: str) -> NDArray[np.bool_]:
    if mask is None:
        return np.ones(shape, dtype=np.bool_)
    real = _numpy(mask)
    if real.dtype != np.bool_:
        raise TypeError(f"{name} must be boolean, got {real.dtype}")
    if real.shape != shape:
        raise ValueError(f"{name} must have shape {letters} = {shape}, got {real.shape}")
    return real


def _lengths(ns: Sequence[int]) -> list[int]:
    if not len(ns):
        raise ValueError("ns must name at least one length of list")
    return sorted({at_least_one(n, "every n in ns") for n in ns})

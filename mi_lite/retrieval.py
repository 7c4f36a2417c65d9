"""Retrieval by several vectors a user: exact, over the whole catalogue.

An item's score is its best one over the user's interests, max over k of v_k . e_i (MIND, CIKM 2019, section 3.7). That
is what a system serves that searches an index once for every interest and merges the lists by score.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mi_lite.checks import at_least_one, check, check_mask

SCORES_AT_ONCE = 2**23  # larger blocks are slower: they leave the cache, and their memory is fetched anew every time


class TopN(NamedTuple):
    """The n best items of every user, best first."""

    items: Tensor  #: (B, n) int64 item ids, 1..N
    scores: Tensor  #: (B, n), an item's score under the interest that likes it best
    interest: Tensor  #: (B, n) int64, which interest that is


class InterestTopN(NamedTuple):
    """The n best items of every single interest, best first; a masked interest has items 0 and scores -infinity."""

    items: Tensor  #: (B, K, n) int64 item ids
    scores: Tensor  #: (B, K, n)


@torch.no_grad()
def top_n(
    interests: Tensor,
    item_vectors: Tensor,
    n: int,
    *,
    interest_mask: Tensor | None = None,
    exclude: Tensor | None = None,
    batch_size: int = 1024,
) -> TopN:
    """The n items with the highest score max over k of ``interests[b, k] . item_vectors[i]``, exactly.

    Equal scores are ordered by the lower item id, and an item that two interests score equally goes to the lower
    interest, so the answer never depends on how a sort happens to run. Item 0 (padding) is never returned.

    Works on at most ``batch_size`` users and one interest at a time, and on fewer users where the catalogue is so large
    that their scores would take more than about 8 million numbers.

    Args:
        interests: ``(B, K, D)``.
        item_vectors: ``(N + 1, D)``; row 0 is padding and is not read.
        n: how many items.
        interest_mask: ``(B, K)`` boolean, True where the user has this interest. A masked interest scores nothing,
            whatever its vector. None: all count.
        exclude: ``(B, M)`` item ids never returned for that user; 0 stands for nothing.
        batch_size: users at a time, at most.

    Returns:
        `TopN`.

    Raises:
        TypeError: for a wrong type.
        ValueError: for a wrong shape, NaN, an id outside 0..N, a user without interests, or a user for whom fewer than
            n items remain.
    """
    at_least_one(batch_size, "batch_size")
    interest_mask, exclude = check_arguments(interests, item_vectors, n, interest_mask, exclude)
    batch_size = rows_at_once(batch_size, len(item_vectors))
    found = []
    for start in range(0, len(interests), batch_size):
        rows = slice(start, start + batch_size)
        some, keep = interests[rows], None if interest_mask is None else interest_mask[rows]
        best, winner = best_interest(some, item_vectors, keep)
        items, scores = best_of(best, n, None if exclude is None else exclude[rows], first_row=start)
        found.append(TopN(items, scores, winner.gather(1, items).long()))
    return TopN(*(torch.cat(parts) for parts in zip(*found, strict=True)))


@torch.no_grad()
def top_n_per_interest(
    interests: Tensor,
    item_vectors: Tensor,
    n: int,
    *,
    interest_mask: Tensor | None = None,
    exclude: Tensor | None = None,
    batch_size: int = 1024,
) -> InterestTopN:
    """The n best items of each interest on its own, as an index that is searched K times returns them.

    The same item may stand in several lists of a user. A masked interest's list holds 0 with score -infinity.
    Arguments and order of equal scores are those of `top_n`.

    Args:
        interests: ``(B, K, D)``.
        item_vectors: ``(N + 1, D)``; row 0 is padding and is not read.
        n: how many items for each interest.
        interest_mask: ``(B, K)`` boolean, True where the user has this interest.
        exclude: ``(B, M)`` item ids never returned for that user; 0 stands for nothing.
        batch_size: users at a time, at most.

    Returns:
        `InterestTopN`.

    Raises:
        TypeError, ValueError: as for `top_n`.
    """
    at_least_one(batch_size, "batch_size")
    interest_mask, exclude = check_arguments(interests, item_vectors, n, interest_mask, exclude)
    batch_size = rows_at_once(batch_size, len(item_vectors))
    found = []
    for start in range(0, len(interests), batch_size):
        rows = slice(start, start + batch_size)
        lists = []
        for k in range(interests.shape[1]):
            scores = _finite(interests[rows, k] @ item_vectors.T)
            items, values = best_of(scores, n, None if exclude is None else exclude[rows], first_row=start)
            if interest_mask is not None:
                absent = ~interest_mask[rows, k, None]
                items, values = items.masked_fill(absent, 0), values.masked_fill(absent, -torch.inf)
            lists.append((items, values))
        found.append([torch.stack(parts, dim=1) for parts in zip(*lists, strict=True)])
    return InterestTopN(*(torch.cat(parts) for parts in zip(*found, strict=True)))


def rows_at_once(batch_size: int, catalogue: int) -> int:
    """How many users' scores over ``catalogue`` items are held at once: ``batch_size``, fewer for a large catalogue."""
    return max(1, min(batch_size, SCORES_AT_ONCE // catalogue))


def best_interest(
    interests: Tensor, item_vectors: Tensor, interest_mask: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Every item's best score over a user's interests, and the interest that gives it; no check of the arguments.

    Args:
        interests: ``(B, K, D)``.
        item_vectors: ``(N + 1, D)``.
        interest_mask: ``(B, K)`` boolean; a masked interest never wins.

    Returns:
        scores ``(B, N + 1)`` and interest ``(B, N + 1)`` int32; equal scores go to the lower interest.
    """
    best = interests.new_full((len(interests), len(item_vectors)), -torch.inf)
    winner = torch.zeros_like(best, dtype=torch.int32)  # half the memory of int64; K is small
    for k in range(interests.shape[1]):
        scores = _finite(interests[:, k] @ item_vectors.T)
        if interest_mask is not None:
            scores = scores.masked_fill(~interest_mask[:, k, None], -torch.inf)
        winner.masked_fill_(scores > best, k)
        torch.maximum(best, scores, out=best)
    return best, winner


def best_of(scores: Tensor, n: int, exclude: Tensor | None = None, *, first_row: int = 0) -> tuple[Tensor, Tensor]:
    """The n highest of ``scores`` ``(B, N + 1)`` in each row: ids and scores, higher first, then the lower id.

    Column 0 (padding) and the excluded ids are never returned.

    Args:
        scores: ``(B, N + 1)``; -infinity stands for an item that may not be returned.
        n: how many.
        exclude: ``(B, M)`` ids, 0 for nothing.
        first_row: what the error message adds to the number of a row.

    Raises:
        ValueError: if fewer than n items remain in a row.
    """
    scores = scores.clone()
    scores[:, 0] = -torch.inf
    if exclude is not None:
        scores.scatter_(1, exclude, -torch.inf)  # an exclude of 0 hits the padding column: nothing
    take = min(n + 1, scores.shape[1])
    values, items = torch.topk(scores, take, dim=1)
    short = values[:, n - 1] == -torch.inf if take >= n else torch.ones(len(scores), dtype=torch.bool)
    if short.any():
        row = int(short.nonzero()[0])
        left = int((scores[row] > -torch.inf).sum())
        raise ValueError(f"n is {n}, but only {left} items remain for user {first_row + row} after exclusion")
    # topk leaves open which of several equal scores it takes, and their order. Only where the cut falls between equal
    # scores is a whole row sorted; elsewhere the right items are there and need the right order.
    items, order = items[:, :n].sort(dim=1)
    kept, order = values[:, :n].gather(1, order).sort(dim=1, descending=True, stable=True)
    items = items.gather(1, order)
    if take > n:
        tied = (values[:, n] == values[:, n - 1]).nonzero()[:, 0]
        if len(tied):
            kept[tied], items[tied] = (x[:, :n] for x in scores[tied].sort(dim=1, descending=True, stable=True))
    return items, kept


def _finite(scores: Tensor) -> Tensor:
    if not torch.isfinite(scores.sum()) and not torch.isfinite(scores).all():  # the sum alone settles the common case
        raise ValueError("a score overflowed to infinity; interests and item vectors are too long for their precision")
    return scores


def check_arguments(
    interests: Tensor, item_vectors: Tensor, n: int, interest_mask: Tensor | None, exclude: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Check what `top_n` is given: interests ``(B, K, D)`` and item vectors ``(N + 1, D)`` among it.

    Returns:
        The mask ``(B, K)`` and the excluded ids ``(B, M)``, on the device of the interests; None where there is none.

    Raises:
        TypeError, ValueError: as `top_n` says.
    """
    size = check(interests, "B K D", "interests")
    catalogue = check(item_vectors, "N+1 D", "item_vectors", D=size["D"])["N+1"]
    if interests.dtype != item_vectors.dtype:
        raise TypeError(f"interests are {interests.dtype} but item_vectors {item_vectors.dtype}; expected the same")
    at_least_one(n, "n")
    if interest_mask is not None:
        check(interest_mask, "B K", "interest_mask", dtype="bool", B=size["B"], K=size["K"])
        interest_mask = check_mask(
            interest_mask, batch=size["B"], length=size["K"], like=interests, name="interest_mask"
        )
    if exclude is not None and exclude.ndim == 2 and exclude.shape[1] == 0:
        exclude = None
    if exclude is not None:
        check(exclude, "B M", "exclude", dtype="int", B=size["B"])
        low, high = int(exclude.min()), int(exclude.max())
        if low < 0 or high >= catalogue:
            raise ValueError(f"exclude holds id {low if low < 0 else high}; expected ids 0..{catalogue - 1}")
        exclude = exclude.to(interests.device, torch.int64)
    return interest_mask, exclude

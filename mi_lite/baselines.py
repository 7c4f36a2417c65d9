"""Rankings without a model: the rows that every results table starts with, and one that is hard to beat.

Each has ``rank(history, exclude, n) -> (B, n)``: item ids, best first, never padding, never an excluded item.
`mi_lite.metrics.evaluate_ranking` scores such lists as `mi_lite.metrics.evaluate` scores a model's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from mi_lite.checks import at_least_one
from mi_lite.data import Splits
from mi_lite.retrieval import best_of

Ids = NDArray[np.int64]
ROWS = 1024  # users at a time


class MostPopular:
    """The same list for everyone: the items with the most interactions in training (equal counts: the lower id).

    Args:
        splits: only the rows before the validation targets are counted.
    """

    def __init__(self, splits: Splits) -> None:
        self.counts = splits.training_counts()

    def rank(self, history: Any, exclude: Any, n: int) -> Ids:
        """``(B, n)`` item ids. ``history`` ``(B, T)`` is not read; ``exclude`` ``(B, M)``, 0 for nothing, or None."""
        history, exclude = _arguments(history, exclude, n, len(self.counts) - 1)
        scores = torch.from_numpy(self.counts).to(torch.float64)
        return _by_rows(lambda rows: scores.repeat(len(history[rows]), 1), len(history), exclude, n)


class RandomRanking:
    """A random order of the catalogue for each user: what a metric reads when nothing is known.

    The lists depend on the seed and on a user's row in the call, on nothing else.

    Args:
        num_items: N.
        seed: of the order.

    Raises:
        TypeError, ValueError: if N is not a whole number of at least 1.
    """

    def __init__(self, num_items: int, seed: int = 0) -> None:
        self.num_items = at_least_one(num_items, "num_items")
        self.seed = seed

    def rank(self, history: Any, exclude: Any, n: int) -> Ids:
        """``(B, n)`` item ids. ``history`` ``(B, T)`` is not read; ``exclude`` ``(B, M)``, 0 for nothing, or None."""
        history, exclude = _arguments(history, exclude, n, self.num_items)
        rng = np.random.default_rng(self.seed)
        return _by_rows(
            lambda rows: torch.from_numpy(rng.random((len(history[rows]), self.num_items + 1))),
            len(history),
            exclude,
            n,
        )


class ItemToItem:
    r"""Item-to-item counts: rank by how often an item shared users with the last few items of the history.

    :math:`\mathrm{score}(j) = \sum_{i \in \text{last}} c_{ij} / \sqrt{c_i c_j}` with :math:`c_{ij}` the number of
    training users who met both and :math:`c_i` those who met i: the cosine of two columns of the user-item table.

    With a ``window``, :math:`c_{ij}` counts the times that a user met the two at most so many places apart instead.

    The defaults are the best of a small grid on MovieLens-100K's *validation* targets (recall@20 .33; .29 without a
    window): what a user met at about the same time says more than the whole history.

    Items that share no user with these come last, the more popular first; equal scores go to the lower id.

    Args:
        splits: only the rows before the validation targets are counted.
        last: how many of the latest behaviours count.
        window: see above; None: anywhere in the user's training rows.

    Raises:
        TypeError, ValueError: if ``last`` or ``window`` is not a whole number of at least 1.
    """

    def __init__(self, splits: Splits, last: int = 5, window: int | None = 10) -> None:
        self.last = at_least_one(last, "last")
        rows = splits.training_rows
        user, item = splits.interactions.user[rows], splits.interactions.item[rows]
        shape = (splits.interactions.num_users, splits.interactions.num_items + 1)
        met = sparse.coo_array((np.ones(len(user)), (user, item)), shape=shape).tocsr()
        met.data[:] = 1  # an item that a user met twice counts once
        self.counts = np.asarray(met.sum(axis=0)).ravel()
        if window is None:
            together = (met.T @ met).tocoo()
        else:
            earlier, later = [], []
            for apart in range(1, at_least_one(window, "window") + 1):
                same = user[apart:] == user[:-apart]
                earlier.append(item[:-apart][same])
                later.append(item[apart:][same])
            i, j = np.concatenate(earlier + later), np.concatenate(later + earlier)
            together = sparse.coo_array((np.ones(len(i)), (i, j)), shape=(shape[1], shape[1])).tocsr().tocoo()
        i, j = together.coords
        cosine = np.where(i == j, 0, together.data / np.sqrt(self.counts[i] * self.counts[j]))
        self.similarity = sparse.coo_array((cosine, (i, j)), shape=together.shape).tocsr()

    def rank(self, history: Any, exclude: Any, n: int) -> Ids:
        """``(B, n)`` item ids.

        Args:
            history: ``(B, T)`` item ids, oldest first, 0 for none.
            exclude: ``(B, M)`` ids that are not returned, 0 for nothing; or None.
            n: how many.

        Raises:
            ValueError: for a wrong shape, an id outside 0..N, or fewer than n items left.
        """
        history, exclude = _arguments(history, exclude, n, len(self.counts) - 1)
        real = history > 0
        recent = real & (np.cumsum(real[:, ::-1], axis=1)[:, ::-1] <= self.last)
        fallback = self.counts / (self.counts.max() + 1) * 1e-9  # below any similarity, above nothing

        def scores(rows: slice) -> Tensor:
            user, place = np.nonzero(recent[rows])
            chosen = sparse.csr_array(
                (np.ones(len(user)), (user, history[rows][user, place])), shape=(len(history[rows]), len(self.counts))
            )
            return torch.from_numpy((chosen @ self.similarity).toarray() + fallback)

        return _by_rows(scores, len(history), exclude, n)


def _by_rows(scores: Any, users: int, exclude: Tensor | None, n: int) -> Ids:
    lists = []
    for start in range(0, users, ROWS):
        rows = slice(start, start + ROWS)
        items, _ = best_of(scores(rows), n, None if exclude is None else exclude[rows], first_row=start)
        lists.append(items.numpy())
    return np.concatenate(lists)


def _arguments(history: Any, exclude: Any, n: int, num_items: int) -> tuple[Ids, Tensor | None]:
    at_least_one(n, "n")
    tables = {"history": history} if exclude is None else {"history": history, "exclude": exclude}
    checked = {}
    for name, table in tables.items():
        ids = table.cpu().numpy() if isinstance(table, Tensor) else np.asarray(table)
        if not np.issubdtype(ids.dtype, np.integer):
            raise TypeError(f"{name} must hold integer item ids, got {ids.dtype}")
        if ids.ndim != 2 or len(ids) == 0:
            raise ValueError(f"{name} must have shape (B, places), got {ids.shape}")
        if ids.size and (ids.min() < 0 or ids.max() > num_items):
            raise ValueError(f"{name} holds ids {ids.min()} to {ids.max()}; expected 0 to {num_items}")
        checked[name] = ids.astype(np.int64)
    if exclude is None:
        return checked["history"], None
    if len(checked["exclude"]) != len(checked["history"]):
        raise ValueError(f"exclude must have {len(checked['history'])} rows, got {len(checked['exclude'])}")
    return checked["history"], torch.from_numpy(checked["exclude"])

"""The one table that every data set becomes, and its split into examples.

Shapes: n rows, U users, N items, C categories, P profile fields, T behaviors in a history.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ids = NDArray[np.int64]
Part = Literal["train", "validation", "test"]


def as_ids(values: ArrayLike, name: str, ndim: int = 1) -> Ids:
    """Return ``values`` as an int64 array of ``ndim`` axes. Floats and booleans are refused, not rounded.

    Args:
        values: ``(n,)`` or, with two axes, ``(n, M)`` whole numbers.
        name: what the error message calls them.
        ndim: how many axes.

    Raises:
        TypeError: for values that are not whole numbers.
        ValueError: for another number of axes.
    """
    array = np.asarray(values)
    if array.ndim != ndim:
        raise ValueError(f"{name} has {array.ndim} axes (shape {array.shape}); expected {ndim}.")
    if array.size and array.dtype.kind not in "iu":
        raise TypeError(f"{name} has dtype {array.dtype}; expected whole numbers (int64).")
    return array.astype(np.int64, copy=False)


def _check_range(ids: Ids, low: int, high: int, name: str, meaning: str) -> None:
    if ids.size and (ids.min() < low or ids.max() > high):
        bad = ids[(ids < low) | (ids > high)][0]
        raise ValueError(f"{name} contains {bad}; expected {meaning}, {low} to {high}.")


def _check_length(length: int, expected: int, name: str, per: str) -> None:
    if length != expected:
        raise ValueError(f"{name} has {length} entries; expected {expected}, one {per}.")


@dataclass(frozen=True, eq=False)
class Interactions:
    """Who interacted with what, and when: the canonical table.

    Rows are grouped by user and ordered by time within a user. Rows of one user with equal times keep the order in
    which their source states them. ``Interactions.from_rows`` brings rows in any order into this one.

    Args:
        user: ``(n,)`` int64, 0 to U - 1.
        item: ``(n,)`` int64, 1 to N. Item 0 is padding and never occurs.
        time: ``(n,)`` int64, in whatever unit the source has (seconds since 1970 for MovieLens).
        num_users: U.
        num_items: N.
        rating: ``(n,)`` float32 or None.
        user_labels: U original ids; empty: 0 to U - 1.
        item_labels: N + 1 original ids, ``item_labels[0] is None``; empty: 1 to N.
        titles: N + 1 strings or None; ``titles[0] == ""``.
        categories: ``(N + 1, C)`` bool or None; an item may have several; row 0 is all False.
        category_names: C strings.
        profile: ``(U, P)`` int64 or None; field p holds codes 0 to ``profile_sizes[p] - 1``.
        profile_names: P strings.
        profile_sizes: P numbers of values.
        profile_values: for each field, what its codes mean.
        source: one sentence on where the rows came from.

    Raises:
        TypeError: for ids that are not whole numbers.
        ValueError: for a field whose shape, range or order is not the one above.
    """

    user: Ids
    item: Ids
    time: Ids
    num_users: int
    num_items: int
    rating: NDArray[np.float32] | None = None
    user_labels: tuple[Hashable, ...] = ()
    item_labels: tuple[Hashable, ...] = ()
    titles: tuple[str, ...] | None = None
    categories: NDArray[np.bool_] | None = None
    category_names: tuple[str, ...] = ()
    profile: Ids | None = None
    profile_names: tuple[str, ...] = ()
    profile_sizes: tuple[int, ...] = ()
    profile_values: tuple[tuple[str, ...], ...] = ()
    source: str = ""
    offsets: Ids = field(init=False, repr=False)  # (U + 1,): the rows of user u are offsets[u] .. offsets[u + 1] - 1

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        for name in ("user", "item", "time"):
            put(name, as_ids(getattr(self, name), name))
        n = len(self.user)
        if n == 0:
            raise ValueError("there are no interactions; expected at least one row.")
        for name in ("item", "time"):
            _check_length(len(getattr(self, name)), n, name, "for each row")
        put("num_users", int(self.num_users))
        put("num_items", int(self.num_items))
        _check_range(self.user, 0, self.num_users - 1, "user", "user numbers")
        _check_range(self.item, 1, self.num_items, "item", "item ids (0 is padding)")
        user_step, time_step = np.diff(self.user), np.diff(self.time)
        if (user_step < 0).any():
            raise ValueError("rows are not grouped by user; expected ascending user numbers (see from_rows).")
        if ((user_step == 0) & (time_step < 0)).any():
            raise ValueError("rows of one user are not ordered by time; expected ascending times (see from_rows).")
        put("offsets", np.searchsorted(self.user, np.arange(self.num_users + 1)).astype(np.int64))
        if self.rating is not None:
            put("rating", np.asarray(self.rating, dtype=np.float32))
            if self.rating.shape != (n,):
                raise ValueError(f"rating has shape {self.rating.shape}; expected ({n},), one for each row.")

        put("user_labels", tuple(self.user_labels) or tuple(range(self.num_users)))
        put("item_labels", tuple(self.item_labels) or (None, *range(1, self.num_items + 1)))
        _check_length(len(self.user_labels), self.num_users, "user_labels", "for each user")
        _check_length(len(self.item_labels), self.num_items + 1, "item_labels", "for each item and one for padding")
        if self.item_labels[0] is not None:
            raise ValueError(f"item_labels[0] is {self.item_labels[0]!r}; expected None, item 0 is padding.")
        if self.titles is not None:
            put("titles", tuple(self.titles))
            _check_length(len(self.titles), self.num_items + 1, "titles", "for each item and one for padding")
        self._check_categories(put)
        self._check_profile(put)

    def _check_categories(self, put: Any) -> None:
        put("category_names", tuple(self.category_names))
        expected = (self.num_items + 1, len(self.category_names))
        if self.categories is None:
            _check_length(len(self.category_names), 0, "category_names", "for each column of categories (None)")
            return
        put("categories", np.asarray(self.categories))
        if self.categories.dtype != np.bool_:
            raise TypeError(f"categories has dtype {self.categories.dtype}; expected bool.")
        if self.categories.shape != expected:
            raise ValueError(f"categories has shape {self.categories.shape}; expected {expected}: items and names.")
        if self.categories[0].any():
            raise ValueError("categories[0] has a category; expected none, item 0 is padding.")

    def _check_profile(self, put: Any) -> None:
        for name in ("profile_names", "profile_sizes"):
            put(name, tuple(getattr(self, name)))
        put("profile_values", tuple(tuple(values) for values in self.profile_values))
        fields = len(self.profile_names)
        _check_length(len(self.profile_sizes), fields, "profile_sizes", "for each profile field")
        _check_length(len(self.profile_values), fields, "profile_values", "for each profile field")
        if self.profile is None:
            _check_length(fields, 0, "profile_names", "for each column of profile (None)")
            return
        put("profile", as_ids(self.profile, "profile", ndim=2))
        if self.profile.shape != (self.num_users, fields):
            raise ValueError(f"profile has shape {self.profile.shape}; expected {(self.num_users, fields)}.")
        for p, (name, size) in enumerate(zip(self.profile_names, self.profile_sizes, strict=True)):
            _check_length(len(self.profile_values[p]), size, f"profile_values of {name!r}", "for each code")
            _check_range(self.profile[:, p], 0, size - 1, f"profile field {name!r}", "codes")

    @classmethod
    def from_rows(
        cls,
        user: ArrayLike,
        item: ArrayLike,
        time: ArrayLike,
        *,
        num_users: int,
        num_items: int,
        rating: ArrayLike | None = None,
        **fields: Any,
    ) -> Interactions:
        """Build the table from rows in any order. Rows of one user with equal times keep the order given here.

        Args:
            user: ``(n,)`` whole numbers, 0 to U - 1.
            item: ``(n,)`` whole numbers, 1 to N.
            time: ``(n,)`` whole numbers.
            num_users: U.
            num_items: N.
            rating: ``(n,)`` numbers or None.
            **fields: the other fields of the table, not one a row: they are taken as they are.

        Raises:
            TypeError: for ids or times that are not whole numbers.
            ValueError: for columns of different lengths, and whatever `Interactions` refuses.
        """
        columns = {"user": as_ids(user, "user"), "item": as_ids(item, "item"), "time": as_ids(time, "time")}
        for name, values in columns.items():
            _check_length(len(values), len(columns["user"]), name, "for each row")
        order = np.lexsort((columns["time"], columns["user"]))  # stable: by user, then by time, then as given
        if rating is not None:
            rating = np.asarray(rating, dtype=np.float32)
            _check_length(len(rating), len(order), "rating", "for each row")
            rating = rating[order]
        return cls(
            user=columns["user"][order],
            item=columns["item"][order],
            time=columns["time"][order],
            num_users=num_users,
            num_items=num_items,
            rating=rating,
            **fields,
        )

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        parts = [f"{self.num_users} users", f"{self.num_items} items", f"{len(self)} interactions"]
        if self.categories is not None:
            parts.append(f"{len(self.category_names)} categories")
        if self.profile is not None:
            parts.append("profile: " + ", ".join(self.profile_names))
        return f"Interactions({', '.join(parts)})"

    @property
    def lengths(self) -> Ids:
        """``(U,)`` the number of interactions of each user."""
        return np.diff(self.offsets)

    def rows_of(self, user: int) -> slice:
        """The rows of one user, oldest first: ``table.item[table.rows_of(user)]`` is his history.

        Raises:
            ValueError: for a user number outside 0 to U - 1.
        """
        if not 0 <= user < self.num_users:
            raise ValueError(f"user is {user}; expected 0 to {self.num_users - 1}.")
        return slice(int(self.offsets[user]), int(self.offsets[user + 1]))


@dataclass(frozen=True, eq=False)
class Examples:
    """Histories and what came next: n examples.

    Args:
        user: ``(n,)`` int64.
        history: ``(n, T)`` int64, item ids, oldest first, padding (0) on the right; at least one real behavior in each.
        target: ``(n,)`` int64, the item that came next, 1 to N.
        profile: ``(n, P)`` int64 or None, the profile of each example's user.
        row: ``(n,)`` int64 or None, the row of the target in the interactions, to look up its time, rating or
            conversion.

    Raises:
        TypeError: for ids that are not whole numbers.
        ValueError: for shapes that do not agree, an all-padding history, padding before a real behavior, or target 0.
    """

    user: Ids
    history: Ids
    target: Ids
    profile: Ids | None = None
    row: Ids | None = None

    def __post_init__(self) -> None:
        n = len(np.asarray(self.user))
        for name in ("user", "history", "target", "profile", "row"):
            values = getattr(self, name)
            if values is None:
                continue
            values = as_ids(values, name, ndim=2 if name in ("history", "profile") else 1)
            _check_length(len(values), n, name, "for each example")
            object.__setattr__(self, name, values)
        if n == 0:
            return
        if self.history.shape[1] == 0 or (self.history[:, 0] == 0).any():
            raise ValueError("a history has no real behavior; expected at least one, with padding on the right only.")
        mask = self.mask
        if (mask[:, 1:] > mask[:, :-1]).any():
            raise ValueError("a history has padding before a real behavior; expected padding on the right only.")
        if self.history.min() < 0 or self.target.min() < 1:
            raise ValueError("an item id is out of range; expected history ids >= 0 and targets >= 1.")

    @property
    def mask(self) -> NDArray[np.bool_]:
        """``(n, T)`` bool, True where a behavior is real."""
        return self.history != 0

    @property
    def lengths(self) -> Ids:
        """``(n,)`` the number of real behaviors in each history."""
        return self.mask.sum(axis=1)

    def subset(self, indices: ArrayLike | slice) -> Examples:
        """The examples at ``indices``, in that order.

        Args:
            indices: ``(m,)`` whole numbers, a boolean mask ``(n,)`` or a slice.

        Raises:
            TypeError: for indices of another kind.
        """
        at: Any = indices
        if not isinstance(indices, slice):
            at = np.atleast_1d(np.asarray(indices))
            if at.size == 0:
                at = at.astype(np.int64)
            if at.dtype.kind not in "iub":
                raise TypeError(f"indices have dtype {at.dtype}; expected whole numbers, a boolean mask or a slice.")
        return Examples(
            user=self.user[at],
            history=self.history[at],
            target=self.target[at],
            profile=None if self.profile is None else self.profile[at],
            row=None if self.row is None else self.row[at],
        )

    def __getitem__(self, indices: ArrayLike | slice) -> Examples:
        return self.subset(indices)

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Examples({len(self)} examples, histories of up to {self.history.shape[1]})"


@dataclass(frozen=True, eq=False)
class Splits:
    """Training, validation and test examples of one protocol, made by `leave_one_out`."""

    train: Examples  #: many for each user
    validation: Examples  #: one for each user
    test: Examples  #: one for each user
    interactions: Interactions  #: the table that was split
    max_history: int  #: T, the most behaviors in a history
    min_history: int  #: the fewest before a training target
    dropped_users: Ids  #: numbers of the users with too few interactions: in no part, not in `training_counts`

    def __repr__(self) -> str:
        sizes = f"train {len(self.train)}, validation {len(self.validation)}, test {len(self.test)}"
        return f"Splits({sizes}, max_history {self.max_history}, dropped users {len(self.dropped_users)})"

    def part(self, name: Part) -> Examples:
        """The examples of one part by its name, ``"train"``, ``"validation"`` or ``"test"``.

        Raises:
            ValueError: for another name.
        """
        if name not in ("train", "validation", "test"):
            raise ValueError(f"part is {name!r}; expected 'train', 'validation' or 'test'.")
        examples: Examples = getattr(self, name)
        return examples

    def seen_before(self, examples: Examples) -> Ids:
        """Everything each example's user had interacted with before its target, not only what fits a history.

        It serves to leave out seen items.

        Args:
            examples: n of them, from any part.

        Returns:
            ``(n, M)`` item ids, padded with 0 on the right, M the longest.

        Raises:
            ValueError: for examples that were not made by `leave_one_out`.
        """
        if examples.row is None:
            raise ValueError("examples.row is None; expected examples made by leave_one_out.")
        return _gather(self.interactions.item, self.interactions.offsets[examples.user], examples.row)

    def seen(self, users: ArrayLike, part: Part) -> Ids:
        """What ``users`` had interacted with before their target of ``part``.

        A user has many training targets, so for those `seen_before` is the one to ask. A user whose target repeats a
        seen item has it in here too.

        Args:
            users: ``(n,)`` user numbers.
            part: ``"validation"`` or ``"test"``.

        Returns:
            ``(n, M)`` item ids, padded with 0 on the right.

        Raises:
            ValueError: for another part, a user number out of range, or a user who was dropped.
        """
        if part not in ("validation", "test"):
            raise ValueError(f"part is {part!r}; expected 'validation' or 'test' (for training: seen_before).")
        users = as_ids(users, "users")
        _check_range(users, 0, self.interactions.num_users - 1, "users", "user numbers")
        dropped = np.intersect1d(users, self.dropped_users)
        if dropped.size:
            raise ValueError(f"user {dropped[0]} has no {part} target; it is one of the dropped users.")
        ends = self.interactions.offsets[users + 1] - (1 if part == "test" else 2)
        return _gather(self.interactions.item, self.interactions.offsets[users], ends)

    @property
    def training_rows(self) -> NDArray[np.bool_]:
        """``(n,)`` bool: the rows of the interactions that training may look at, those before a validation target."""
        rows = np.ones(len(self.interactions), dtype=bool)
        rows[np.isin(self.interactions.user, self.dropped_users)] = False
        rows[self.validation.row] = False
        rows[self.test.row] = False
        return rows

    def training_counts(self) -> Ids:
        """``(N + 1,)`` how often each item occurs in the training rows: the *most popular* baseline; index 0 is 0."""
        return np.bincount(self.interactions.item[self.training_rows], minlength=self.interactions.num_items + 1)


def _gather(values: Ids, starts: Ids, ends: Ids, width: int | None = None) -> Ids:
    """(n, M) ``values[starts[i]:ends[i]]`` in row i, padded with 0 on the right; at most the last ``width`` of them."""
    if width is not None:
        starts = np.maximum(starts, ends - width)
    lengths = ends - starts
    columns = np.arange(width if width is not None else int(lengths.max(initial=0)))
    at = np.minimum(starts[:, None] + columns, len(values) - 1)
    return np.where(columns < lengths[:, None], values[at], 0)


def leave_one_out(interactions: Interactions, max_history: int = 50, min_history: int = 5) -> Splits:
    """Split by time within each user; this is the protocol of every result in the book.

    The last interaction of a user is the test target and the one before it the validation target. Each earlier one
    that has at least ``min_history`` before it is a training target. The history of a target is the ``max_history``
    interactions just before it, so nothing later than the target is in it; rows with equal times count as ordered as
    the table has them. The test history contains the validation target, as it would in service.

    Time is split within a user, not over all users: another user's training rows may be later than this user's target.

    A user needs ``min_history + 2`` interactions to have both targets. Those with fewer are in
    `Splits.dropped_users`.

    Args:
        interactions: the table.
        max_history: T, the most behaviors in a history.
        min_history: the fewest behaviors before a training target.

    Raises:
        TypeError: for a length that is not a whole number.
        ValueError: for a length below 1, or if no user has enough interactions.
    """
    for name, value in (("max_history", max_history), ("min_history", min_history)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"{name} is {value!r}; expected a whole number.")
        if value < 1:
            raise ValueError(f"{name} is {value}; expected at least 1.")
    lengths, offsets = interactions.lengths, interactions.offsets
    kept = lengths >= min_history + 2
    if not kept.any():
        raise ValueError(
            f"no user has {min_history + 2} interactions (the most is {lengths.max()}); expected min_history + 2 = "
            f"{min_history} for a history, one for validation, one for the test."
        )
    position = np.arange(len(interactions)) - offsets[interactions.user]
    remaining = lengths[interactions.user] - position  # 1 for the last row of a user
    eligible = kept[interactions.user] & (position >= min_history)

    def examples(rows: Ids) -> Examples:
        users = interactions.user[rows]
        return Examples(
            user=users,
            history=_gather(interactions.item, offsets[users], rows, width=max_history),
            target=interactions.item[rows],
            profile=None if interactions.profile is None else interactions.profile[users],
            row=rows,
        )

    return Splits(
        train=examples(np.flatnonzero(eligible & (remaining > 2))),
        validation=examples(np.flatnonzero(eligible & (remaining == 2))),
        test=examples(np.flatnonzero(eligible & (remaining == 1))),
        interactions=interactions,
        max_history=int(max_history),
        min_history=int(min_history),
        dropped_users=np.flatnonzero(~kept),
    )


def category_matrix(per_item: Sequence[Sequence[int]], num_categories: int) -> NDArray[np.bool_]:
    """Which item has which category, as a table.

    Args:
        per_item: the category numbers of items 1 to N.
        num_categories: C.

    Returns:
        ``(N + 1, C)`` bool; row 0, padding, is all False.
    """
    matrix = np.zeros((len(per_item) + 1, num_categories), dtype=bool)
    for item, numbers in enumerate(per_item, start=1):
        matrix[item, list(numbers)] = True
    return matrix

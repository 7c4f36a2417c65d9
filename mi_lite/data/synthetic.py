"""A synthetic world whose truth is known, so that a mechanism can be scored on what it claims to find.

Concepts are points on a sphere. Every item belongs to one concept and lies near it. A user has a few concepts, a taste
of his own inside each, and drifts from concept to concept over time. Tags are other directions on the same sphere:
an item carries those that it points towards, so a tag may cut through a concept or join several.

Shapes: n interactions, U users, N items, C concepts, D dimensions, G tags, S the most concepts a user may have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .interactions import Examples, Ids, Interactions

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NUM_SEGMENTS, NUM_DEVICES = 8, 3
SEGMENT_NOISE = 0.2  # the share of users whose profile names a segment drawn at random


@dataclass(frozen=True, eq=False)
class World:
    """The interactions that a model sees, and the truth behind them that it must not see.

    Of n interactions, U users, N items, C concepts, D dimensions, G tags; S is the most concepts a user may have.
    """

    interactions: Interactions  #: the clicks; an item's category is its concept
    concepts: Floats  #: (C, D), unit vectors
    item_concept: Ids  #: (N + 1,), the concept of each item; -1 for padding
    item_vectors: Floats  #: (N + 1, D), unit vectors; 0 for padding
    item_popularity: Floats  #: (N + 1,), Zipf weights that sum to 1 over each concept; 0 for padding
    item_tags: Bools  #: (N + 1, G), the tags that an item carries
    tag_vectors: Floats  #: (G, D), unit vectors
    user_concepts: Bools  #: (U, C), the concepts of each user
    user_slots: Ids  #: (U, S), the same as concept numbers; -1 where a user has fewer
    user_taste: Floats  #: (U, S, D), unit vectors, where a user leans to inside each of his concepts; 0 where none
    user_tag_preference: Floats  #: (U, G), the probability that the user likes the tag, in clicks
    user_tag_conversion: Floats  #: (U, G), the same for conversions; equal when ``task_conflict`` is 0
    behavior_concept: Ids  #: (n,), the interest that each interaction was drawn from
    conversion: Bools  #: (n,), whether it became a conversion
    conversion_probability: Floats  #: (n,), what that was drawn with
    settings: dict[str, Any]  #: the arguments of `synthetic_world`

    def history_concepts(self, examples: Examples) -> Ids:
        """``(n, T)`` the true concept of each behavior in the histories ``(n, T)``; -1 for padding."""
        concepts: Ids = self.item_concept[examples.history]
        return concepts

    def __repr__(self) -> str:
        s = self.settings
        return f"World({s['num_concepts']} concepts in {s['dim']} dimensions, {self.interactions!r}, seed {s['seed']})"


def _number(name: str, value: Any, low: float, high: float = np.inf, whole: bool = False) -> None:
    kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise TypeError(f"{name} is {value!r}; expected a {'whole ' if whole else ''}number.")
    number = float(value)
    if not (low <= number <= high and np.isfinite(number)):
        expected = f"{low} to {high}" if np.isfinite(high) else f"at least {low}"
        raise ValueError(f"{name} is {value}; expected {expected}.")


def _range(name: str, value: Any, low: int, high: float = np.inf) -> tuple[int, int]:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        value = (value, value)
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{name} is {value!r}; expected a whole number or a pair (least, most).")
    for bound in value:
        _number(name, bound, low, high, whole=True)
    if value[0] > value[1]:
        raise ValueError(f"{name} is {tuple(value)}; expected (least, most) with least <= most.")
    return int(value[0]), int(value[1])


def _unit(x: Floats) -> Floats:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1.0 + np.tanh(0.5 * x))  # no overflow for any x


def synthetic_world(
    num_users: int = 1000,
    num_items: int = 2000,
    num_concepts: int = 20,
    dim: int = 32,
    concepts_per_user: int | tuple[int, int] = (1, 8),
    *,
    history_length: int | tuple[int, int] = (30, 50),
    noise: float = 0.5,
    zipf: float = 1.0,
    taste: float = 1.0,
    stickiness: float = 0.5,
    drift: float = 0.1,
    num_tags: int | None = None,
    tags_per_item: int | tuple[int, int] = (2, 4),
    tag_strength: float = 0.5,
    task_conflict: float = 0.0,
    conversion_rate: float = 0.3,
    repeats: bool = False,
    seed: int = 0,
) -> World:
    """Draw a world and its users' behavior. The same arguments give the same world.

    How an event is drawn: with probability ``stickiness`` the user stays with the concept of the event before;
    otherwise the next concept is drawn from the user's weights, which themselves wander. An item of that concept is
    drawn in proportion to popularity x exp(taste + liking of its tags).

    Args:
        num_users: U.
        num_items: N.
        num_concepts: C. Many in few dimensions are crowded (100 in 8), few in many are roomy (20 in 32).
        dim: D.
        concepts_per_user: a number, or (least, most), uniform; no more than ``num_concepts``.
        history_length: interactions of a user, a number or (least, most), uniform.
        noise: length of an item's step away from its concept before it is put back on the sphere.
        zipf: exponent of popularity within a concept; 0 makes all items equally popular.
        taste: strength of a user's own direction inside a concept (standard deviation of its log-odds).
        stickiness: 0 forgets the last concept, 1 never leaves it.
        drift: standard deviation of the step of a user's log-weights at each event; 0 keeps them still.
        num_tags: G; None: three for each concept, but at least 4.
        tags_per_item: a number, or (least, most), uniform.
        tag_strength: how much the liking of an item's tags counts for a click (log-odds).
        task_conflict: 0 to 1; each user's preferences over tags in conversions correlate with those in clicks by
            1 - 2 x ``task_conflict``: the same at 0, unrelated at 0.5, opposite at 1.
        conversion_rate: probability of a conversion when the user is indifferent to the item's tags.
        repeats: whether a user may click an item twice. If not, a concept that a user has exhausted is left for
            another.
        seed: of everything that is drawn.

    Raises:
        TypeError: for a setting of the wrong kind.
        ValueError: for a setting out of range, or too few items for histories without repeats.
    """
    settings = dict(locals())
    for name, low in (("num_users", 1), ("num_concepts", 1), ("dim", 2)):
        _number(name, settings[name], low, whole=True)
    _number("num_items", num_items, num_concepts, whole=True)
    for name in ("noise", "zipf", "taste", "drift", "tag_strength"):
        _number(name, settings[name], 0)
    for name in ("stickiness", "task_conflict"):
        _number(name, settings[name], 0, 1)
    _number("conversion_rate", conversion_rate, 0.001, 0.999)
    _number("seed", seed, 0, whole=True)
    num_tags = settings["num_tags"] = max(4, 3 * num_concepts) if num_tags is None else num_tags
    _number("num_tags", num_tags, 4, whole=True)
    least_concepts, most_concepts = _range("concepts_per_user", concepts_per_user, 1, num_concepts)
    least_length, most_length = _range("history_length", history_length, 1)
    least_tags, most_tags = _range("tags_per_item", tags_per_item, 1, num_tags)
    available = least_concepts * (num_items // num_concepts)
    if not repeats and most_length > available:
        raise ValueError(
            f"history_length goes up to {most_length}, but {least_concepts} concept(s) hold only {available} items; "
            f"expected more items (num_items), shorter histories (history_length) or repeats=True."
        )
    rng = np.random.default_rng(seed)

    # Concepts, and items spread around them. An item's id says nothing of its concept or popularity.
    concepts = _unit(rng.standard_normal((num_concepts, dim)))
    item_concept = np.concatenate([[-1], rng.permutation(np.arange(num_items) % num_concepts)]).astype(np.int64)
    offset = np.zeros((num_items + 1, dim))
    offset[1:] = rng.standard_normal((num_items, dim))  # in units of noise / sqrt(D)
    item_vectors = np.zeros_like(offset)
    item_vectors[1:] = _unit(concepts[item_concept[1:]] + noise / np.sqrt(dim) * offset[1:])
    pool = _pools(item_concept, num_concepts, rng)  # (C, M) the items of each concept in order of popularity
    item_popularity = _zipf_popularity(pool, num_items, zipf)

    # Tags: an item carries those that its vector points to most, give or take.
    tag_vectors = _unit(rng.standard_normal((num_tags, dim)))
    score = np.sqrt(dim) * item_vectors[1:] @ tag_vectors.T + 0.5 * rng.standard_normal((num_items, num_tags))
    rank = np.argsort(np.argsort(-score, axis=1), axis=1)
    item_tags = np.zeros((num_items + 1, num_tags), dtype=bool)
    item_tags[1:] = rank < rng.integers(least_tags, most_tags + 1, size=(num_items, 1))

    # Users: their concepts, the taste inside each, and the tags they like.
    count = rng.integers(least_concepts, most_concepts + 1, size=num_users)
    slots = np.argsort(rng.random((num_users, num_concepts)), axis=1)[:, :most_concepts].astype(np.int64)
    slots[np.arange(most_concepts) >= count[:, None]] = -1
    user_concepts = np.zeros((num_users, num_concepts + 1), dtype=bool)
    np.put_along_axis(user_concepts, slots, True, axis=1)  # -1 falls into the last column, which is cut off
    user_concepts = user_concepts[:, :num_concepts]
    user_taste = _unit(rng.standard_normal((num_users, most_concepts, dim)))
    user_taste[slots < 0] = 0.0
    liking = _tag_liking(concepts, slots, tag_vectors, rng)
    other = _tag_liking(concepts, slots, _unit(rng.standard_normal((num_tags, dim))), rng)
    conversion_liking = _conversion_liking(liking, other, correlation=1.0 - 2.0 * task_conflict)

    # Behavior, one event of all users at a time.
    tag_share = item_tags / np.maximum(item_tags.sum(axis=1, keepdims=True), 1)
    cost = _item_cost(pool, slots, user_taste, offset, item_popularity, liking, tag_share, taste, tag_strength)
    item, slot = _events(cost, pool, slots, most_length, stickiness, drift, repeats, rng)
    length = rng.integers(least_length, most_length + 1, size=num_users)
    real = np.arange(most_length) < length[:, None]
    gap = 1 + np.floor(rng.exponential(6 * 3600, size=item.shape)).astype(np.int64)
    time = rng.integers(0, 30 * 24 * 3600, size=(num_users, 1)) + np.cumsum(gap, axis=1)
    user = np.broadcast_to(np.arange(num_users)[:, None], item.shape)
    behavior_concept = np.take_along_axis(slots, slot, axis=1)[real]

    interactions = Interactions(
        user=user[real],
        item=item[real],
        time=time[real],
        num_users=num_users,
        num_items=num_items,
        titles=_titles(pool, num_items),
        categories=item_concept[:, None] == np.arange(num_concepts),
        category_names=tuple(f"concept {c}" for c in range(num_concepts)),
        source=f"synthetic world, seed {seed}",
        **_profile(concepts, slots, rng),
    )
    logit = np.log(conversion_rate / (1 - conversion_rate))
    liked = np.einsum("ng,ng->n", conversion_liking[interactions.user], tag_share[interactions.item])
    conversion_probability = _sigmoid(logit + 2.0 * liked)
    return World(
        interactions=interactions,
        concepts=concepts,
        item_concept=item_concept,
        item_vectors=item_vectors,
        item_popularity=item_popularity,
        item_tags=item_tags,
        tag_vectors=tag_vectors,
        user_concepts=user_concepts,
        user_slots=slots,
        user_taste=user_taste,
        user_tag_preference=_sigmoid(liking),
        user_tag_conversion=_sigmoid(conversion_liking),
        behavior_concept=behavior_concept,
        conversion=rng.random(len(interactions)) < conversion_probability,
        conversion_probability=conversion_probability,
        settings=settings,
    )


def _pools(item_concept: Ids, num_concepts: int, rng: np.random.Generator) -> Ids:
    """(C, M) the items of each concept in a random order of popularity; 0 where a concept has fewer than M."""
    sizes = np.bincount(item_concept[1:], minlength=num_concepts)
    pool = np.zeros((num_concepts, sizes.max()), dtype=np.int64)
    shuffled = 1 + rng.permutation(len(item_concept) - 1)
    pool[np.arange(sizes.max()) < sizes[:, None]] = shuffled[np.argsort(item_concept[shuffled], kind="stable")]
    return pool


def _zipf_popularity(pool: Ids, num_items: int, exponent: float) -> Floats:
    """(N + 1,) weight 1 / rank^exponent within each concept, summing to 1 over a concept."""
    weight = np.where(pool > 0, np.arange(1, pool.shape[1] + 1) ** -float(exponent), 0.0)
    weight /= weight.sum(axis=1, keepdims=True)
    popularity = np.zeros(num_items + 1)
    popularity[pool[pool > 0]] = weight[pool > 0]
    return popularity


def _titles(pool: Ids, num_items: int) -> tuple[str, ...]:
    titles = [""] * (num_items + 1)
    for concept, items in enumerate(pool):
        for place, item in enumerate(items[items > 0], start=1):
            titles[item] = f"concept {concept}, no. {place}"
    return tuple(titles)


def _tag_liking(concepts: Floats, slots: Ids, tag_vectors: Floats, rng: np.random.Generator) -> Floats:
    """(U, G) log-odds of liking a tag: how near it is to the nearest of the user's concepts, and a part of his own."""
    near = concepts @ tag_vectors.T * np.sqrt(concepts.shape[1])  # (C, G)
    best = np.full((len(slots), len(tag_vectors)), -np.inf)
    for s in range(slots.shape[1]):
        has = slots[:, s] >= 0
        best[has] = np.maximum(best[has], near[slots[has, s]])
    return _standard(_standard(best) + 0.5 * rng.standard_normal(best.shape))


def _standard(liking: Floats) -> Floats:
    """(U, G) with mean 0 and standard deviation 1 over the tags of each user: users differ in what, not in how much."""
    centered = liking - liking.mean(axis=1, keepdims=True)
    return centered / centered.std(axis=1, keepdims=True)


def _conversion_liking(liking: Floats, other: Floats, correlation: float) -> Floats:
    """(U, G) of which each row has exactly this correlation with the same row of ``liking``."""
    unrelated = _standard(other - (other * liking).mean(axis=1, keepdims=True) * liking)
    return correlation * liking + np.sqrt(1.0 - correlation**2) * unrelated


def _item_cost(
    pool: Ids,
    slots: Ids,
    user_taste: Floats,
    offset: Floats,
    popularity: Floats,
    liking: Floats,
    tag_share: Floats,
    taste: float,
    tag_strength: float,
) -> Floats:
    """(U, S, M) exp(-log-odds) of each item of each of a user's concepts, infinite where there is none.

    If e ~ Exp(1) independently, argmin of cost * e draws an item in proportion to 1 / cost.
    """
    cost = np.full((*slots.shape, pool.shape[1]), np.inf)
    for concept, items in enumerate(pool):
        items = items[items > 0]
        users, at = np.nonzero(slots == concept)
        log_odds = taste * user_taste[users, at] @ offset[items].T + tag_strength * liking[users] @ tag_share[items].T
        cost[users, at, : len(items)] = np.exp(-log_odds) / popularity[items]
    return cost


def _events(
    cost: Floats,
    pool: Ids,
    slots: Ids,
    steps: int,
    stickiness: float,
    drift: float,
    repeats: bool,
    rng: np.random.Generator,
) -> tuple[Ids, Ids]:
    """(U, steps) item ids and the slot of the concept that each was drawn from. Changes ``cost``."""
    users = np.arange(len(slots))
    left = np.isfinite(cost).sum(axis=2)  # (U, S) items a user has not had yet
    log_weight = rng.standard_normal(slots.shape)
    items = np.empty((len(slots), steps), dtype=np.int64)
    chosen = np.empty_like(items)
    slot = np.zeros(len(slots), dtype=np.int64)
    for t in range(steps):
        log_weight = log_weight + drift * rng.standard_normal(slots.shape)
        draw = np.where(left > 0, log_weight + rng.gumbel(size=slots.shape), -np.inf).argmax(axis=1)
        stay = (rng.random(len(slots)) < stickiness) & (left[users, slot] > 0) & (t > 0)
        slot = np.where(stay, slot, draw)
        place = (cost[users, slot] * rng.standard_exponential((len(slots), cost.shape[2]))).argmin(axis=1)
        items[:, t] = pool[slots[users, slot], place]
        chosen[:, t] = slot
        if not repeats:
            cost[users, slot, place] = np.inf
            left[users, slot] -= 1
    return items, chosen


def _profile(concepts: Floats, slots: Ids, rng: np.random.Generator) -> dict[str, Any]:
    """A profile of two fields: a segment that tells a little of the concepts, a device that tells nothing."""
    centers = _unit(rng.standard_normal((NUM_SEGMENTS, concepts.shape[1])))
    mean = np.where(slots[..., None] >= 0, concepts[slots], 0.0).sum(axis=1)
    segment = (mean @ centers.T).argmax(axis=1)
    random = rng.random(len(slots)) < SEGMENT_NOISE
    segment = np.where(random, rng.integers(0, NUM_SEGMENTS, len(slots)), segment)
    device = rng.integers(0, NUM_DEVICES, len(slots))
    return {
        "profile": np.stack([segment, device], axis=1),
        "profile_names": ("segment", "device"),
        "profile_sizes": (NUM_SEGMENTS, NUM_DEVICES),
        "profile_values": (
            tuple(f"segment {i}" for i in range(NUM_SEGMENTS)),
            tuple(f"device {i}" for i in range(NUM_DEVICES)),
        ),
    }

"""Routing: capsules below share themselves out among the capsules above, by agreement.

`dynamic_routing` is Sabour et al.'s (NeurIPS 2017, Procedure 1), with one vote for each pair of capsules.
`b2i_routing` is MIND's behaviour-to-interest form (CIKM 2019, Algorithm 1), where one map S serves all pairs.
Both are the same loop; they differ in how a vote is stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from mi_lite.capsules import squash
from mi_lite.checks import at_least_one, check, check_mask, choose, not_negative

UPDATES = ("accumulate", "assign")
AXES = ("interests", "behaviors")
GRADIENTS = ("all", "last")
ROUNDINGS = ("floor", "ceil", "round")


class Routing(NamedTuple):
    """What routing returns, with its whole trace (R iterations).

    The interests are made from the *last* weights. The logits of iteration r are those that its weights come from;
    the update after the last iteration, which nobody reads, is left out.
    """

    interests: Tensor  #: (B, K, D), the interest capsules
    weights: tuple[Tensor, ...]  #: R times (B, T, K), coupling weights
    logits: tuple[Tensor, ...]  #: R times (B, T, K), routing logits
    interests_by_iteration: tuple[Tensor, ...]  #: R times (B, K, D)


def coupling_weights(
    logits: Tensor, mask: Tensor | None = None, interest_mask: Tensor | None = None, axis: str = "interests"
) -> Tensor:
    """Coupling weights ``(B, T, K)`` from routing logits ``(B, T, K)``.

    Over interests, each real behaviour's weights sum to one (Sabour et al. 2017, eq. 3). Over behaviours, each
    interest's weights sum to one: every interest is then a weighted mean of the history, as in several public codes.
    Padding and masked interests get weight 0, exactly, along either axis.

    Args:
        logits: ``(B, T, K)``.
        mask: ``(B, T)`` boolean, True where a behaviour is real.
        interest_mask: ``(B, K)`` boolean, True where the user has this interest.
        axis: ``"interests"`` or ``"behaviors"``.
    """
    by_interest = logits.transpose(1, 2)  # (B, K, T): the long dimension last is several times faster
    real = None if mask is None else mask[:, None, :]
    exists = None if interest_mask is None else interest_mask[:, :, None]
    dim, inside, outside = (2, real, exists) if axis == "behaviors" else (1, exists, real)
    if inside is not None:
        by_interest = by_interest.masked_fill(~inside, -torch.inf)
    weights = torch.softmax(by_interest, dim=dim)
    if outside is not None:
        weights = weights * outside
    return weights.transpose(1, 2)


def _route(
    votes: Tensor,
    weighted_sum: Callable[[Tensor, Tensor], Tensor],
    agreement: Callable[[Tensor, Tensor], Tensor],
    logits: Tensor,
    mask: Tensor | None,
    interest_mask: Tensor | None,
    iterations: int,
    update: str,
    axis: str,
    gradient: str,
) -> Routing:
    """The loop of both routings: weigh, sum, squash, compare."""
    trace_weights, trace_logits, trace_interests = [], [], []
    for r in range(iterations):
        last = r == iterations - 1
        ballots = votes if last or gradient == "all" else votes.detach()
        weights = coupling_weights(logits, mask, interest_mask, axis)
        interests = squash(weighted_sum(weights, ballots))
        trace_weights.append(weights)
        trace_logits.append(logits)
        trace_interests.append(interests)
        if not last:
            agreed = agreement(ballots, interests)
            logits = logits + agreed if update == "accumulate" else agreed
    return Routing(trace_interests[-1], tuple(trace_weights), tuple(trace_logits), tuple(trace_interests))


def dynamic_routing(
    votes: Tensor,
    *,
    iterations: int = 3,
    mask: Tensor | None = None,
    interest_mask: Tensor | None = None,
    logits: Tensor | None = None,
    update: str = "accumulate",
    axis: str = "interests",
    gradient: str = "all",
) -> Routing:
    r"""Dynamic routing between capsules (Sabour et al. 2017, Procedure 1).

    .. math:: c_{i\cdot} = \mathrm{softmax}_j(b_{i\cdot}),\quad s_j = \sum_i c_{ij}\,\hat u_{j|i},\quad
       v_j = \mathrm{squash}(s_j),\quad b_{ij} \leftarrow b_{ij} + \hat u_{j|i}\cdot v_j

    Args:
        votes: ``(B, T, K, D)``, the prediction of lower capsule i for upper capsule j.
        iterations: R, at least 1.
        mask: ``(B, T)`` boolean, True where a lower capsule is real. None: all are. What stands under the padding
            (any finite number) changes nothing, neither values nor gradients.
        interest_mask: ``(B, K)`` boolean, True where an upper capsule exists. None: all do.
        logits: ``(B, T, K)`` initial logits; None: zeros, as in the paper.
        update: ``"accumulate"`` (b += agreement, the paper) or ``"assign"`` (b = agreement).
        axis: what the weights sum to one over: ``"interests"`` (upper capsules, the paper) or ``"behaviors"``.
        gradient: ``"all"`` iterations, or the ``"last"`` only (the votes are constants before it).

    Returns:
        `Routing`.

    Raises:
        TypeError, ValueError: for a wrong type, shape or option, NaN, or a user with no real behaviour.
    """
    size = check(votes, "B T K D", "votes")
    mask, interest_mask, logits = _arguments(
        size, votes, iterations, mask, interest_mask, logits, update, axis, gradient
    )
    if mask is not None:  # large numbers under the padding would overflow in the agreements, and inf × 0 is NaN
        votes = votes * mask[:, :, None, None]
    if logits is None:
        logits = votes.new_zeros(size["B"], size["T"], size["K"])
    return _route(
        votes,
        lambda weights, ballots: torch.einsum("btk,btkd->bkd", weights, ballots),
        lambda ballots, interests: torch.einsum("btkd,bkd->btk", ballots, interests),
        logits, mask, interest_mask, iterations, update, axis, gradient,
    )  # fmt: skip


def b2i_routing(
    behaviors: Tensor,
    bilinear: Tensor | None,
    num_interests: int,
    *,
    mask: Tensor | None = None,
    interest_mask: Tensor | None = None,
    iterations: int = 3,
    logits: Tensor | None = None,
    init_std: float = 1.0,
    update: str = "accumulate",
    axis: str = "interests",
    gradient: str = "all",
    generator: torch.Generator | None = None,
) -> Routing:
    r"""Behaviour-to-interest routing (MIND, CIKM 2019, Algorithm 1).

    .. math:: w_{i\cdot} = \mathrm{softmax}_j(b_{i\cdot}),\quad z_j = \sum_i w_{ij}\,S e_i,\quad
       u_j = \mathrm{squash}(z_j),\quad b_{ij} \leftarrow b_{ij} + u_j^\top S e_i

    Since S is shared, equal logits would leave all interests equal for ever, so the logits start at random.

    Args:
        behaviors: ``(B, T, D)``, embeddings of the history.
        bilinear: ``(D_out, D)``, the shared map S; the votes are ``S e_i``. None: the behaviours are the votes already.
        num_interests: K, at least 1.
        mask: ``(B, T)`` boolean, True where a behaviour is real. None: all are. What stands under the padding
            (any finite number) changes nothing, neither values nor gradients.
        interest_mask: ``(B, K)`` boolean, each user's own interests (see `adaptive_num_interests`). None: all K.
            A masked interest takes no weight and is the zero vector.
        iterations: R, at least 1.
        logits: ``(B, T, K)`` initial logits; None: drawn at this call, normal with mean 0 and deviation ``init_std``.
        init_std: the σ of that draw; not used when logits are given.
        update: ``"accumulate"`` (MIND's Algorithm 1) or ``"assign"`` (its eq. 8 read literally).
        axis: what the weights sum to one over: ``"interests"`` or ``"behaviors"`` (see `coupling_weights`).
        gradient: through ``"all"`` iterations, or the ``"last"`` only (the votes are constants before it).
        generator: source of the random logits, for reproducible draws.

    Returns:
        `Routing` with interests ``(B, K, D_out)``.

    Raises:
        TypeError, ValueError: for a wrong type, shape or option, NaN, K < 1, or a user with no real behaviour.
    """
    size = check(behaviors, "B T D", "behaviors")
    if bilinear is not None:
        check(bilinear, "D_out D", "bilinear", like=behaviors, D=size["D"])
    size["K"] = at_least_one(num_interests, "num_interests")
    mask, interest_mask, logits = _arguments(
        size, behaviors, iterations, mask, interest_mask, logits, update, axis, gradient
    )
    if logits is None:
        not_negative(init_std, "init_std")
        shape = (size["B"], size["T"], size["K"])
        logits = init_std * torch.randn(shape, generator=generator, dtype=behaviors.dtype, device=behaviors.device)
    if mask is not None and max(map(abs, torch.aminmax(behaviors.detach()))) > 1e15:
        behaviors = behaviors * mask[:, :, None]  # under the padding they would overflow, and inf × 0 is NaN
    return _route(
        behaviors if bilinear is None else behaviors @ bilinear.T,
        lambda weights, ballots: weights.transpose(1, 2) @ ballots,
        lambda ballots, interests: (interests @ ballots.transpose(1, 2)).transpose(1, 2),
        logits, mask, interest_mask, iterations, update, axis, gradient,
    )  # fmt: skip


def far_apart_logits(votes: Tensor, num_interests: int, *, mask: Tensor | None = None, scale: float = 5.0) -> Tensor:
    r"""Initial logits without dice: each interest starts at a behaviour, and these lie far apart.

    The first centre is the user's latest behaviour; each next one is the behaviour least similar to the centres chosen
    so far (farthest-point selection, as in k-means seeding). The logit :math:`b_{ij}` is ``scale`` times the cosine of
    vote i and centre j. A user with fewer behaviours than interests gets the latest one again.

    Args:
        votes: ``(B, T, D)``, what routing groups (``behaviors @ bilinear.T``), oldest first. No gradient flows back.
        num_interests: K, at least 1.
        mask: ``(B, T)`` boolean, True where a behaviour is real. None: all are.
        scale: how sharply the start decides; not negative.

    Returns:
        ``(B, T, K)``, to be passed as ``logits``.

    Raises:
        TypeError, ValueError: for a wrong type or shape, NaN, K < 1, or a user with no real behaviour.
    """
    size = check(votes, "B T D", "votes")
    at_least_one(num_interests, "num_interests")
    not_negative(scale, "scale")
    mask = check_mask(mask, batch=size["B"], length=size["T"], like=votes)
    if mask is None:
        mask = torch.ones(votes.shape[:2], dtype=torch.bool, device=votes.device)
    x = torch.nn.functional.normalize(votes.detach().masked_fill(~mask[:, :, None], 0), dim=2)
    places = torch.arange(size["T"], device=votes.device)
    user = torch.arange(size["B"], device=votes.device)
    latest = centre = torch.where(mask, places, -1).argmax(1)
    free = mask.clone()  # behaviours that are no centre yet
    similarity = []
    nearest = torch.full(mask.shape, -torch.inf, dtype=x.dtype, device=x.device)
    for _ in range(num_interests):
        similarity.append((x @ x[user, centre][:, :, None])[:, :, 0])
        nearest = torch.maximum(nearest, similarity[-1])
        free[user, centre] = False
        centre = torch.where(free.any(1), nearest.masked_fill(~free, torch.inf).argmin(1), latest)
    return scale * torch.stack(similarity, dim=2)


def _arguments(
    size: dict[str, int],
    like: Tensor,
    iterations: int,
    mask: Tensor | None,
    interest_mask: Tensor | None,
    logits: Tensor | None,
    update: str,
    axis: str,
    gradient: str,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Check what both routings take; returns mask, interest mask and logits."""
    at_least_one(iterations, "iterations")
    choose(update, UPDATES, "update")
    choose(axis, AXES, "axis")
    choose(gradient, GRADIENTS, "gradient")
    mask = check_mask(mask, batch=size["B"], length=size["T"], like=like)
    interest_mask = check_mask(interest_mask, batch=size["B"], length=size["K"], like=like, name="interest_mask")
    if logits is not None:
        check(logits, "B T K", "logits", like=like, B=size["B"], T=size["T"], K=size["K"])
    return mask, interest_mask, logits


def adaptive_num_interests(lengths: Tensor, max_interests: int, rounding: str = "floor") -> Tensor:
    r"""How many interests a history of this length gets: :math:`\max(1, \min(K, \log_2 n))` (MIND, section 3.3).

    The paper gives no rounding; ``"floor"``, ``"ceil"`` and ``"round"`` are exact here for every length that an int64
    holds: lengths are compared with whole numbers, and no logarithm is taken. (No length is half-way between two.)

    Args:
        lengths: ``(B,)`` integers, the number of real behaviours of each user, at least 1.
        max_interests: K, at least 1.
        rounding: what to do with the fraction of the logarithm.

    Returns:
        ``(B,)`` int64, between 1 and K. ``torch.arange(K) < result[:, None]`` is the interest mask.

    Raises:
        TypeError, ValueError: for a wrong type, a length below 1, K below 1 or an unknown rounding.
    """
    check(lengths, "B", "lengths", dtype="int")
    at_least_one(max_interests, "max_interests")
    choose(rounding, ROUNDINGS, "rounding")
    if (lengths < 1).any():
        raise ValueError(f"lengths must be at least 1, got {int(lengths.min())}")
    k = range(63)
    limits = {  # log2 n has passed the limit number k, and is worth k + 1 or more, when n is at least …
        "floor": [2 ** (i + 1) for i in k[:-1]],
        "ceil": [2**i + 1 for i in k],
        "round": [math.isqrt(2 ** (2 * i + 1)) + 1 for i in k],  # 2^(i + 1/2), rounded up
    }
    passed = lengths.to(torch.int64)[:, None] >= torch.tensor(limits[rounding], device=lengths.device)
    return passed.sum(1).clamp(min=1, max=max_interests)

"""Contracts of chapter 3: both routings, soft k-means, the number of interests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from contracts import Chapter, close, contract, draw, unsquash
from mi_lite import routing
from mi_lite.capsules import squash

CHAPTER = Chapter("03_dynamic_routing")
Routed = tuple[Tensor, list[Tensor]]  # interests (B, K, D), weights (B, T, K) of each iteration


def packages_routing(votes: Tensor, iterations: int = 3) -> Routed:
    found = routing.dynamic_routing(votes, iterations=iterations)
    return found.interests, list(found.weights)


def packages_b2i(
    behaviors: Tensor, bilinear: Tensor, logits: Tensor, mask: Tensor | None = None, iterations: int = 3,
    update: str = "accumulate",
) -> Routed:  # fmt: skip
    found = routing.b2i_routing(
        behaviors, bilinear, logits.shape[2], mask=mask, logits=logits, iterations=iterations, update=update
    )
    return found.interests, list(found.weights)


def wrong_loop(
    votes: Tensor, logits: Tensor, iterations: int, *, axis: int = 2, share: float = 1.0, assign: bool = False,
    bend: Callable[[Tensor], Tensor] = squash, compared: Tensor | None = None,
) -> Routed:  # fmt: skip
    """Routing with a place for one mistake; every use makes one. votes (B, T, K, D)."""
    trace = []
    for _ in range(iterations):
        weights = logits.softmax(axis)
        interests = bend(share * torch.einsum("btk,btkd->bkd", weights, votes))
        agreed = torch.einsum("btkd,bkd->btk", votes if compared is None else compared, interests)
        logits = agreed if assign else logits + agreed
        trace.append(weights)
    return interests, trace


def zeros(votes: Tensor) -> Tensor:
    return votes.new_zeros(votes.shape[:3])


def shared(behaviors: Tensor, bilinear: Tensor, interests: int) -> Tensor:
    """The votes of B2I, (B, T, K, D): the same for all interests."""
    return (behaviors @ bilinear.T)[:, :, None].expand(-1, -1, interests, -1)


def between(x: Tensor) -> Tensor:
    """What differs between interests: (B, T, K) less its mean over K. Of log weights it is that of the logits."""
    return x - x.mean(2, keepdim=True)


VOTES = draw(3, 5, 4, 6)  # B, T, K, D
BEHAVIORS, BILINEAR, START = draw(3, 5, 6), draw(6, 6, seed=1, scale=0.6), draw(3, 5, 4, seed=2)


# --------------------------------------------------------------------------------------------------------------- Sabour


def packages_votes(e: Tensor, W: Tensor) -> Tensor:
    return pairwise(packages_b2i, e, W)


def pairwise(b2i: Callable[..., Routed], e: Tensor, W: Tensor) -> Tensor:
    """Votes (T, K, D_out) of e (T, D) by W (T, K, D_out, D), each pair routed on its own: what it hears is its vote."""
    alone = e.new_zeros(1, 1, 1)
    rows = [
        [unsquash(b2i(x[None, None], w, alone, iterations=1)[0][0, 0]) for w in row]
        for x, row in zip(e, W, strict=True)
    ]
    return torch.stack([torch.stack(row) for row in rows])


def transposed_votes(e: Tensor, W: Tensor) -> Tensor:
    """Transposes the matrices."""
    return torch.einsum("tkdp,td->tkp", W, e)


@contract(
    "eq-routing-votes",
    "A film's vote for an interest is that pair's matrix times the film: each pair has its own, and changing one "
    "changes one vote.",
    package=packages_votes,
    chapter=lambda e, W: pairwise(CHAPTER.b2i_routing, e, W),
    wrong=transposed_votes,
)
def votes(vote: Callable[[Tensor, Tensor], Tensor]) -> None:
    e, W = draw(3, 4), draw(3, 2, 4, 4, seed=1)
    found = vote(e, W)
    close(found, (W * e[:, None, None, :]).sum(3))
    W = W.clone()
    W[1, 0] = 2 * W[1, 0]
    changed = (vote(e, W) - found).abs().amax(2) > 1e-9
    assert changed.nonzero().tolist() == [[1, 0]]


def over_history(behaviors: Tensor, bilinear: Tensor, logits: Tensor, mask: Tensor, iterations: int = 3) -> Routed:
    """Takes the softmax over the history, so that weights sum to one over behaviours."""
    _, trace = wrong_loop(shared(behaviors, bilinear, logits.shape[2]), logits, iterations, axis=1)
    return _, [weights * mask[:, :, None] for weights in trace]


@contract(
    "eq-routing-weights",
    "A behaviour's weights sum to one over interests, and each logit more multiplies a weight by e; padding gets none.",
    package=packages_b2i,
    chapter=CHAPTER.b2i_routing,
    wrong=over_history,
)
def weights(b2i: Callable[..., Routed]) -> None:
    mask = torch.arange(5) < torch.tensor([5, 3, 4])[:, None]
    _, trace = b2i(BEHAVIORS, BILINEAR, START, mask, iterations=3)
    for w in trace:
        close(w.sum(2), mask.double())
        assert (w >= 0).all()
    first, real = trace[0], mask.nonzero()
    ratio = first[..., 1:] / first[..., :1]
    expected = (START[..., 1:] - START[..., :1]).exp()
    close(ratio[real[:, 0], real[:, 1]], expected[real[:, 0], real[:, 1]])


def averaged(votes: Tensor, iterations: int = 3) -> Routed:
    """Divides the sum by the number of films."""
    return wrong_loop(votes, zeros(votes), iterations, share=1 / votes.shape[1])


@contract(
    "eq-routing-sum",
    "An interest's sum is its films' votes, each times its weight: a film twice in the history counts twice.",
    package=packages_routing,
    chapter=CHAPTER.dynamic_routing,
    wrong=averaged,
)
def weighed_sum(route: Callable[..., Routed]) -> None:
    for iterations in (1, 2, 4):
        interests, trace = route(VOTES, iterations=iterations)
        close(unsquash(interests), torch.einsum("btk,btkd->bkd", trace[-1], VOTES))
    once, twice = (unsquash(route(v, iterations=1)[0]) for v in (VOTES, VOTES.repeat(1, 2, 1, 1)))
    close(twice, 2 * once)


def of_unit_length(votes: Tensor, iterations: int = 3) -> Routed:
    """Makes every interest unit length."""
    return wrong_loop(votes, zeros(votes), iterations, bend=lambda s: s / s.norm(dim=-1, keepdim=True))


@contract(
    "eq-routing-squash",
    "An interest points where its sum points and is shorter than 1: its length is the sum's squashed.",
    package=packages_routing,
    chapter=CHAPTER.dynamic_routing,
    wrong=of_unit_length,
)
def squashed(route: Callable[..., Routed]) -> None:
    for scale in (0.1, 1.0):
        interests, trace = route(scale * VOTES, iterations=3)
        s = torch.einsum("btk,btkd->bkd", trace[-1], scale * VOTES)
        n = s.norm(dim=2)
        close(torch.cosine_similarity(interests, s, dim=2), torch.ones_like(n))
        close(interests.norm(dim=2), n**2 / (1 + n**2))
        assert (interests.norm(dim=2) < 1).all()


def assigned(votes: Tensor, iterations: int = 3) -> Routed:
    """Replaces the logit by the agreement instead of adding to it."""
    return wrong_loop(votes, zeros(votes), iterations, assign=True)


@contract(
    "eq-routing-update",
    "From round to round a logit grows by the inner product of vote and interest, starting at zero.",
    package=packages_routing,
    chapter=CHAPTER.dynamic_routing,
    wrong=assigned,
)
def update(route: Callable[..., Routed]) -> None:
    _, trace = route(VOTES, iterations=4)
    close(trace[0], torch.full_like(trace[0], 1 / 4))
    for r in (1, 2, 3):
        interests, _ = route(VOTES, iterations=r)
        growth = between(trace[r].log()) - between(trace[r - 1].log())
        close(growth, between(torch.einsum("btkd,bkd->btk", VOTES, interests)))


# ------------------------------------------------------------------------------------------------------------------ B2I


def map_transposed(behaviors: Tensor, bilinear: Tensor, logits: Tensor, iterations: int = 3) -> Routed:
    """Applies the transpose of S."""
    return wrong_loop(shared(behaviors, bilinear.T, logits.shape[2]), logits, iterations)


@contract(
    "eq-b2i-interest",
    "An interest is the squashed sum of the mapped films, each times its weight; all interests receive the same "
    "vote from a film.",
    package=packages_b2i,
    chapter=CHAPTER.b2i_routing,
    wrong=map_transposed,
)
def interest(b2i: Callable[..., Routed]) -> None:
    for iterations in (1, 3):
        interests, trace = b2i(BEHAVIORS, BILINEAR, START, iterations=iterations)
        mapped = torch.stack([torch.stack([BILINEAR @ e for e in user]) for user in BEHAVIORS])
        z = trace[-1].transpose(1, 2) @ mapped
        close(unsquash(interests), z)
        n = z.norm(dim=2)
        close(interests.norm(dim=2), n**2 / (1 + n**2))


def compared_unmapped(behaviors: Tensor, bilinear: Tensor, logits: Tensor, iterations: int = 3) -> Routed:
    """Compares an interest with the film itself instead of with the mapped film."""
    same = shared(behaviors, torch.eye(behaviors.shape[2], dtype=behaviors.dtype), logits.shape[2])
    return wrong_loop(shared(behaviors, bilinear, logits.shape[2]), logits, iterations, compared=same)


def agreements(b2i: Callable[..., Routed], iterations: int) -> Tensor:
    """The inner products (B, T, K) of the mapped films with the interests of one round."""
    interests, _ = b2i(BEHAVIORS, BILINEAR, START, iterations=iterations)
    return torch.einsum("btd,bkd->btk", BEHAVIORS @ BILINEAR.T, interests)


@contract(
    "eq-b2i-update",
    "From round to round a logit grows by the inner product of the interest and the mapped film.",
    package=packages_b2i,
    chapter=CHAPTER.b2i_routing,
    wrong=compared_unmapped,
)
def b2i_update(b2i: Callable[..., Routed]) -> None:
    _, trace = b2i(BEHAVIORS, BILINEAR, START, iterations=4)
    for r in (1, 2, 3):
        close(between(trace[r].log()) - between(trace[r - 1].log()), between(agreements(b2i, r)))


def own_maps(behaviors: Tensor, bilinear: Tensor, logits: Tensor, iterations: int = 3) -> Routed:
    """Gives every interest a map of its own."""
    maps = torch.stack([bilinear.roll(k, 0) for k in range(logits.shape[2])])
    return wrong_loop(torch.einsum("kpd,btd->btkp", maps, behaviors), logits, iterations)


@contract(
    "eq-b2i-symmetry",
    "Two interests whose logits start equal stay equal for ever, whatever the films and the map; different starts "
    "part.",
    package=packages_b2i,
    chapter=CHAPTER.b2i_routing,
    wrong=own_maps,
)
def symmetry(b2i: Callable[..., Routed]) -> None:
    for seed in range(5):
        behaviors, bilinear, start = draw(2, 6, 5, seed=seed), draw(5, 5, seed=10 + seed), draw(2, 6, 3, seed=20 + seed)
        start[:, :, 2] = start[:, :, 0]
        for iterations in (1, 3, 10):
            interests, trace = b2i(behaviors, bilinear, start, iterations=iterations)
            close(interests[:, 2], interests[:, 0])
            close(trace[-1][..., 2], trace[-1][..., 0])
            assert (interests[:, 1] - interests[:, 0]).abs().max() > 1e-3


def b2i_assigned(behaviors: Tensor, bilinear: Tensor, logits: Tensor, iterations: int = 3) -> Routed:
    """Forgets the earlier agreements and the start."""
    return wrong_loop(shared(behaviors, bilinear, logits.shape[2]), logits, iterations, assign=True)


@contract(
    "eq-b2i-logits-sum",
    "After r rounds a logit is its start plus all agreements so far; nothing is forgotten.",
    package=packages_b2i,
    chapter=CHAPTER.b2i_routing,
    wrong=b2i_assigned,
)
def logits_sum(b2i: Callable[..., Routed]) -> None:
    _, trace = b2i(BEHAVIORS, BILINEAR, START, iterations=6)
    total = START
    for r in range(1, 6):
        total = total + agreements(b2i, r)
        close(between(trace[r].log()), between(total))


def never_settles(
    behaviors: Tensor, bilinear: Tensor, logits: Tensor, mask: Any = None, iterations: int = 3, update: str = ""
) -> Routed:
    """Adds the agreements up, whatever it was told, so that the logits never settle."""
    return wrong_loop(shared(behaviors, bilinear, logits.shape[2]), logits, iterations)


@contract(
    "eq-b2i-fixed-point",
    "Where assigned logits settle, every interest is the squash of the mapped films weighed by the softmax of their"
    " own agreement with it.",
    package=packages_b2i,
    chapter=CHAPTER.b2i_routing,
    wrong=never_settles,
)
def fixed_point(b2i: Callable[..., Routed]) -> None:
    behaviors, eye, start = 2 * draw(4, 8, 3, seed=5), torch.eye(3, dtype=torch.float64), draw(4, 8, 2, seed=6)
    u, _ = b2i(behaviors, eye, start, iterations=400, update="assign")
    shares = torch.softmax(behaviors @ u.transpose(1, 2), dim=2)
    z = shares.transpose(1, 2) @ behaviors
    n = z.norm(dim=2, keepdim=True)
    close(u, n / (1 + n**2) * z, rtol=1e-6, atol=1e-8)
    assert (u[:, 0] - u[:, 1]).norm(dim=1).max() > 0.1  # and not because all are the same


# --------------------------------------------------------------------------------------------------------- soft k-means


def packages_k_means(x: Tensor, responsibilities: Tensor, sharpness: float, rounds: int) -> Routed:
    """B2I routing from the package's parts, with assigned logits and unit lengths."""
    for _ in range(rounds):
        centres = squash(responsibilities.transpose(1, 2) @ x, variant="unit")
        responsibilities = routing.coupling_weights(sharpness * x @ centres.transpose(1, 2))
    return centres, responsibilities


def without_sharpness(x: Tensor, responsibilities: Tensor, sharpness: float, rounds: int) -> Routed:
    """Leaves the sharpness out."""
    return packages_k_means(x, responsibilities, 1.0, rounds)


def plain_means(x: Tensor, responsibilities: Tensor, sharpness: float, rounds: int) -> Routed:
    """Takes the weighted mean as the centre and doesn't bring it to length 1."""
    for _ in range(rounds):
        total = responsibilities.sum(1)[:, :, None]
        centres = responsibilities.transpose(1, 2) @ x / total
        responsibilities = (sharpness * x @ centres.transpose(1, 2)).softmax(2)
    return centres, responsibilities


POINTS = draw(3, 9, 4) / draw(3, 9, 4).norm(dim=2, keepdim=True)
SHARES = draw(3, 9, 2, seed=1).softmax(2)


@contract(
    "eq-soft-kmeans-weights",
    "A point's responsibilities sum to one over clusters; a centre nearer by a cosine of 1/κ is e times as "
    "responsible.",
    package=packages_k_means,
    chapter=CHAPTER.soft_kmeans,
    wrong=without_sharpness,
)
def responsibilities(k_means: Callable[..., Routed]) -> None:
    for sharpness in (2.0, 7.0):
        centres, r = k_means(POINTS, SHARES, sharpness, 3)
        close(r.sum(2), torch.ones(3, 9, dtype=r.dtype))
        nearer = (POINTS * (centres[:, :1] - centres[:, 1:])).sum(2)
        close(r[..., 0] / r[..., 1], (sharpness * nearer).exp())


@contract(
    "eq-soft-kmeans-centres",
    "A centre has length 1 and points where the sum of the points points, each times its responsibility.",
    package=packages_k_means,
    chapter=CHAPTER.soft_kmeans,
    wrong=plain_means,
)
def centres(k_means: Callable[..., Routed]) -> None:
    found, _ = k_means(POINTS, SHARES, 3.0, 1)
    m = torch.einsum("btk,btd->bkd", SHARES, POINTS)
    close(found.norm(dim=2), torch.ones(3, 2, dtype=m.dtype))
    close(torch.cosine_similarity(found, m, dim=2), torch.ones(3, 2, dtype=m.dtype))


# --------------------------------------------------------------------------------------------------- how many interests


def natural_logarithm(n: Tensor, most: int) -> Tensor:
    """Takes the natural logarithm."""
    return n.double().log().floor().long().clamp(1, most)


@contract(
    "eq-adaptive-k",
    "A history of 2 to the power m has m interests, never fewer than one and never more than K; a longer history "
    "never has fewer, and none is a whole interest off the logarithm.",
    package=routing.adaptive_num_interests,
    chapter=CHAPTER.number_of_interests,
    wrong=natural_logarithm,
)
def adaptive(number: Callable[[Tensor, int], Tensor]) -> None:
    n = torch.arange(1, 600)
    for most in (1, 4, 8):
        found = number(n, most)
        assert found.tolist() == sorted(found.tolist())
        assert (found >= 1).all() and (found <= most).all()
        for power in range(1, 10):
            assert found[2**power - 1] == min(power, most)
        exact = torch.tensor([max(1.0, min(most, math.log2(length))) for length in n.tolist()])
        assert ((found - exact).abs() < 1).all()

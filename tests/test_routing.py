"""Routing: against values worked by hand, against loops in NumPy, and against what must hold for every input."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from mi_lite.metrics import mean_cosine
from mi_lite.routing import (
    AXES,
    GRADIENTS,
    UPDATES,
    adaptive_num_interests,
    b2i_routing,
    coupling_weights,
    dynamic_routing,
    far_apart_logits,
)

SWITCHES = list(itertools.product(UPDATES, AXES))


def randn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def some_mask(batch, length, seed=0):
    """A mask with holes; every row keeps at least one behavior."""
    mask = torch.rand(batch, length, generator=torch.Generator().manual_seed(seed)) < 0.6
    mask[torch.arange(batch), torch.arange(batch) % length] = True
    return mask


# ------------------------------------------------------------------------------------------------- an oracle of loops


def oracle(votes, logits, iterations, mask=None, interest_mask=None, update="accumulate", axis="interests"):
    """Routing as the formulas say it, one number at a time. votes (B, T, K, D), all arrays NumPy."""
    B, T, K, D = votes.shape
    mask = np.ones((B, T), bool) if mask is None else mask
    interest_mask = np.ones((B, K), bool) if interest_mask is None else interest_mask
    b = logits.copy()
    trace = []
    for _ in range(iterations):
        w, u = np.zeros((B, T, K)), np.zeros((B, K, D))
        for user in range(B):
            films = [i for i in range(T) if mask[user, i]]
            own = [j for j in range(K) if interest_mask[user, j]]
            for i in films:
                for j in own:
                    rivals = [b[user, i, k] for k in own] if axis == "interests" else [b[user, k, j] for k in films]
                    w[user, i, j] = 1 / sum(math.exp(r - b[user, i, j]) for r in rivals)
            for j in own:
                z = np.zeros(D)
                for i in films:
                    z += w[user, i, j] * votes[user, i, j]
                length = math.sqrt(sum(c * c for c in z))
                if length > 0:
                    u[user, j] = length**2 / (1 + length**2) * z / length
        trace.append((w, u, b.copy()))
        for user, i, j in itertools.product(range(B), range(T), range(K)):
            agreement = float(votes[user, i, j] @ u[user, j])
            b[user, i, j] = agreement + (b[user, i, j] if update == "accumulate" else 0)
    return trace


def same_as_oracle(found, trace, mask=None, interest_mask=None):
    """Compare a Routing with the oracle's trace; logits only where there is a film and an interest."""
    assert len(found.weights) == len(found.logits) == len(found.interests_by_iteration) == len(trace)
    assert found.interests is found.interests_by_iteration[-1]
    where = torch.ones_like(found.logits[0], dtype=torch.bool)
    if mask is not None:
        where = where & mask[:, :, None]
    if interest_mask is not None:
        where = where & interest_mask[:, None, :]
    for r, (w, u, b) in enumerate(trace):
        assert_close(found.weights[r], torch.from_numpy(w))
        assert_close(found.interests_by_iteration[r], torch.from_numpy(u))
        assert_close(found.logits[r][where], torch.from_numpy(b)[where])


@pytest.mark.parametrize(("update", "axis"), SWITCHES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
def test_b2i_against_loops(update, axis, masked, iterations):
    B, T, K, D = 3, 6, 3, 4
    e, S, b = randn(B, T, D), randn(5, D, seed=1), randn(B, T, K, seed=2)
    mask = some_mask(B, T) if masked else None
    own = torch.tensor([[True, True, True], [True, False, True], [False, True, False]]) if masked else None
    votes = np.zeros((B, T, K, 5))
    for user, i, j in itertools.product(range(B), range(T), range(K)):
        votes[user, i, j] = S.numpy() @ e[user, i].numpy()  # S e_i, a column
    masks = (None, None) if mask is None else (mask.numpy(), own.numpy())
    trace = oracle(votes, b.numpy(), iterations, *masks, update, axis)
    found = b2i_routing(
        e, S, K, mask=mask, interest_mask=own, iterations=iterations, logits=b, update=update, axis=axis
    )
    same_as_oracle(found, trace, mask, own)


@pytest.mark.parametrize(("update", "axis"), SWITCHES)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("given_logits", [False, True])
def test_dynamic_against_loops(update, axis, masked, given_logits):
    B, T, K, D = 3, 5, 4, 3
    votes = randn(B, T, K, D)
    b = randn(B, T, K, seed=2) if given_logits else None
    mask = some_mask(B, T, seed=4) if masked else None
    own = torch.arange(K) < torch.tensor([1, 3, 4])[:, None] if masked else None
    start = np.zeros((B, T, K)) if b is None else b.numpy()
    masks = (None, None) if mask is None else (mask.numpy(), own.numpy())
    trace = oracle(votes.numpy(), start, 3, *masks, update, axis)
    found = dynamic_routing(votes, mask=mask, interest_mask=own, logits=b, update=update, axis=axis)
    same_as_oracle(found, trace, mask, own)


# ---------------------------------------------------------------------------------------------------- worked by hand


def test_two_films_two_interests_by_hand():
    """Film 1 votes +2 for both, film 2 votes +2 and −2. Zero logits, so all weights begin at one half."""
    votes = torch.tensor([[[[2.0], [2.0]], [[2.0], [-2.0]]]], dtype=torch.float64)
    found = dynamic_routing(votes, iterations=2)
    assert_close(found.weights[0], torch.full((1, 2, 2), 0.5).double())
    assert_close(found.interests_by_iteration[0][0, :, 0], torch.tensor([0.8, 0.0]).double())  # 2²/(1+2²), 0
    assert_close(found.logits[1][0], torch.tensor([[1.6, 0.0], [1.6, 0.0]]).double())  # ±2·0.8, ±2·0
    w = math.exp(1.6) / (math.exp(1.6) + 1)
    assert_close(found.weights[1][0], torch.tensor([[w, 1 - w], [w, 1 - w]]).double())
    s = 4 * w  # 2w + 2w; interest 2 gets 2(1−w) − 2(1−w) = 0
    assert_close(found.interests[0, :, 0], torch.tensor([s * s / (1 + s * s), 0.0]).double())


def test_b2i_by_hand():
    """One film of length 2, logits (ln 3, 0): weights ¾ and ¼, sums 1.5 and 0.5, squashed 2.25/3.25 and 0.25/1.25."""
    found = b2i_routing(
        torch.tensor([[[2.0]]]), torch.tensor([[1.0]]), 2, logits=torch.tensor([[[math.log(3), 0.0]]]), iterations=2
    )
    assert_close(found.weights[0][0, 0], torch.tensor([0.75, 0.25]))
    assert_close(found.interests_by_iteration[0][0, :, 0], torch.tensor([9 / 13, 1 / 5]))
    assert_close(found.logits[1][0, 0], torch.tensor([math.log(3) + 18 / 13, 2 / 5]))


def test_assigned_logits_by_hand():
    found = b2i_routing(
        torch.tensor([[[2.0]]]), torch.tensor([[1.0]]), 2, logits=torch.tensor([[[math.log(3), 0.0]]]), iterations=2,
        update="assign",
    )  # fmt: skip
    assert_close(found.logits[1][0, 0], torch.tensor([18 / 13, 2 / 5]))


def test_weights_over_behaviors_by_hand():
    logits = torch.tensor([[[0.0, math.log(2)], [math.log(3), 0.0]]])
    assert_close(coupling_weights(logits, axis="behaviors")[0], torch.tensor([[1 / 4, 2 / 3], [3 / 4, 1 / 3]]))
    assert_close(coupling_weights(logits, axis="interests")[0], torch.tensor([[1 / 3, 2 / 3], [3 / 4, 1 / 4]]))


def test_map_is_applied_to_a_column():
    """S sends (1, 0) to its first column (2, 0), not to its first row (2, 5)."""
    S = torch.tensor([[2.0, 5.0], [0.0, 3.0]])
    found = b2i_routing(torch.tensor([[[1.0, 0.0]]]), S, 1, iterations=1)
    assert_close(found.interests[0, 0], torch.tensor([4 / 5, 0.0]))


def test_one_interest_is_the_squashed_sum_over_interests_and_the_squashed_mean_over_behaviors():
    e = randn(2, 5, 3)
    total = b2i_routing(e, torch.eye(3).double(), 1, iterations=4).interests[:, 0]
    mean = b2i_routing(
        e, torch.eye(3).double(), 1, iterations=1, logits=torch.zeros(2, 5, 1).double(), axis="behaviors"
    )
    for found, s in ((total, e.sum(1)), (mean.interests[:, 0], e.mean(1))):
        n = s.norm(dim=1, keepdim=True)
        assert_close(found, n / (1 + n * n) * s)


# ------------------------------------------------------------------------------------------------- what always holds

shapes = st.tuples(st.integers(1, 4), st.integers(1, 7), st.integers(1, 5), st.integers(1, 6))
options = {"update": st.sampled_from(UPDATES), "axis": st.sampled_from(AXES), "seed": st.integers(0, 10**6)}


@given(
    shape=shapes,
    scale=st.sampled_from([1e-3, 1.0, 30.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    **options,
)
def test_weights_sum_to_one(shape, scale, dtype, update, axis, seed):
    B, T, K, D = shape
    mask = some_mask(B, T, seed)
    own = some_mask(B, K, seed + 1)
    found = b2i_routing(
        scale * randn(B, T, D, seed=seed, dtype=dtype), randn(D, D, seed=seed + 2, dtype=dtype), K, mask=mask,
        interest_mask=own, logits=randn(B, T, K, seed=seed + 3, dtype=dtype), update=update, axis=axis,
    )  # fmt: skip
    for w in found.weights:
        assert w.dtype == dtype
        assert (w >= 0).all()
        assert (w[~mask] == 0).all()
        assert (w.transpose(1, 2)[~own] == 0).all()
        sums, real = (w.sum(2), mask) if axis == "interests" else (w.sum(1), own)
        assert_close(sums, real.to(dtype))
    assert (found.interests.norm(dim=2) <= 1 + 1e-6).all()
    assert (found.interests[~own] == 0).all()


def one_run(e, S, logits, mask=None, own=None, votes=False, **settings):
    """Interests, and the gradients of behaviors, map and logits, for a fixed push on the interests."""
    e, S, logits = (x.clone().requires_grad_() for x in (e, S, logits))
    if votes:
        e_votes = (e @ S.T)[:, :, None, :].expand(-1, -1, logits.shape[2], -1)
        found = dynamic_routing(e_votes, mask=mask, interest_mask=own, logits=logits, **settings)
    else:
        found = b2i_routing(e, S, logits.shape[2], mask=mask, interest_mask=own, logits=logits, **settings)
    push = randn(*found.interests.shape, seed=99, dtype=e.dtype)
    gradients = torch.autograd.grad((found.interests * push).sum(), (e, S, logits), allow_unused=True)
    return found, tuple(torch.zeros_like(x) if g is None else g for g, x in zip(gradients, (e, S, logits), strict=True))


@given(
    shape=shapes,
    extra=st.integers(1, 4),
    left=st.booleans(),
    rubbish=st.sampled_from([0.0, 1.0, 1e6, 1e30, 1e300]),
    votes=st.booleans(),
    gradient=st.sampled_from(GRADIENTS),
    **options,
)
def test_padding_changes_nothing(shape, extra, left, rubbish, votes, gradient, update, axis, seed):
    B, T, K, D = shape
    e, S, b = randn(B, T, D, seed=seed), randn(D, D, seed=seed + 1), randn(B, T, K, seed=seed + 2)

    def order(padding, real):
        return torch.cat([padding, real] if left else [real, padding], dim=1)

    wide = order(rubbish * randn(B, extra, D, seed=seed + 3), e)
    wide_b = order(randn(B, extra, K, seed=seed + 4), b)
    mask = order(torch.zeros(B, extra, dtype=torch.bool), torch.ones(B, T, dtype=torch.bool))
    settings = dict(update=update, axis=axis, gradient=gradient, votes=votes)
    plain, (ge, gS, gb) = one_run(e, S, b, **settings)
    padded, (pe, pS, pb) = one_run(wide, S, wide_b, mask=mask, **settings)
    assert_close(padded.interests, plain.interests)
    assert_close(pS, gS)
    assert_close(pe[mask].view(B, T, D), ge)
    assert_close(pb[mask].view(B, T, K), gb)
    assert (pe[~mask] == 0).all()
    assert (pb[~mask] == 0).all()
    for w, v in zip(padded.weights, plain.weights, strict=True):
        assert_close(w[mask].view(B, T, K), v)


@pytest.mark.parametrize(("update", "axis"), SWITCHES)
@pytest.mark.parametrize("gradient", GRADIENTS)
def test_padding_that_would_overflow_changes_nothing(update, axis, gradient):
    """The largest float32 under the padding: the map, an agreement or a sum over it would be infinite."""
    e, S, b = (
        randn(2, 4, 3, dtype=torch.float32),
        9 * randn(3, 3, dtype=torch.float32),
        randn(2, 4, 2, dtype=torch.float32),
    )
    mask = torch.tensor([[True, True, False, True], [False, True, False, True]])
    large = e.masked_fill(~mask[:, :, None], torch.finfo(torch.float32).max)
    settings = dict(mask=mask, update=update, axis=axis, gradient=gradient)
    (plain, expected), (padded, found) = one_run(e, S, b, **settings), one_run(large, S, b, **settings)
    assert torch.equal(padded.interests, plain.interests)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)
    votes = large[:, :, None, :].expand(-1, -1, 2, -1)
    small = e[:, :, None, :].expand(-1, -1, 2, -1)
    for x in dynamic_routing(votes, logits=b, **settings).logits:
        assert x.isfinite().all()
    assert torch.equal(
        dynamic_routing(votes, logits=b, **settings).interests, dynamic_routing(small, logits=b, **settings).interests
    )


@given(shape=shapes, **options)
def test_order_of_behaviors_moves_the_weights_only(shape, update, axis, seed):
    B, T, K, D = shape
    e, S, b = randn(B, T, D, seed=seed), randn(D, D, seed=seed + 1), randn(B, T, K, seed=seed + 2)
    order = torch.randperm(T, generator=torch.Generator().manual_seed(seed))
    settings = dict(update=update, axis=axis)
    one = b2i_routing(e, S, K, logits=b, **settings)
    other = b2i_routing(e[:, order], S, K, logits=b[:, order], **settings)
    assert_close(other.interests, one.interests)
    for w, v in zip(other.weights, one.weights, strict=True):
        assert_close(w, v[:, order])


@given(shape=shapes, **options)
def test_order_of_logits_moves_the_interests(shape, update, axis, seed):
    B, T, K, D = shape
    e, S, b = randn(B, T, D, seed=seed), randn(D, D, seed=seed + 1), randn(B, T, K, seed=seed + 2)
    order = torch.randperm(K, generator=torch.Generator().manual_seed(seed))
    settings = dict(update=update, axis=axis)
    one, other = b2i_routing(e, S, K, logits=b, **settings), b2i_routing(e, S, K, logits=b[:, :, order], **settings)
    assert_close(other.interests, one.interests[:, order])
    assert_close(other.weights[-1], one.weights[-1][:, :, order])


@given(shape=shapes, **options)
def test_a_user_does_not_depend_on_the_batch(shape, update, axis, seed):
    B, T, K, D = shape
    e, S, b = randn(B, T, D, seed=seed), randn(D, D, seed=seed + 1), randn(B, T, K, seed=seed + 2)
    together = b2i_routing(e, S, K, logits=b, update=update, axis=axis).interests
    for user in range(B):
        alone = b2i_routing(e[[user]], S, K, logits=b[[user]], update=update, axis=axis).interests
        assert_close(alone[0], together[user])


@given(shape=shapes, **options)
def test_b2i_is_dynamic_routing_with_repeated_votes(shape, update, axis, seed):
    B, T, K, D = shape
    e, S, b = randn(B, T, D, seed=seed), randn(D + 1, D, seed=seed + 1), randn(B, T, K, seed=seed + 2)
    settings = dict(mask=some_mask(B, T, seed), own=some_mask(B, K, seed), update=update, axis=axis)
    one, other = one_run(e, S, b, **settings), one_run(e, S, b, votes=True, **settings)
    assert_close(one[0].interests, other[0].interests)
    assert_close(one[0].weights, other[0].weights)
    assert_close(one[1], other[1])


@given(shape=shapes, **options)
def test_masked_interests_equal_fewer_interests(shape, update, axis, seed):
    B, T, K, D = shape
    e, S, b = randn(B, T, D, seed=seed), randn(D, D, seed=seed + 1), randn(B, T, K + 2, seed=seed + 2)
    own = (torch.arange(K + 2) < K).expand(B, -1)
    masked = b2i_routing(e, S, K + 2, logits=b, interest_mask=own, update=update, axis=axis)
    fewer = b2i_routing(e, S, K, logits=b[:, :, :K], update=update, axis=axis)
    assert_close(masked.interests[:, :K], fewer.interests)
    assert_close(masked.weights[-1][:, :, :K], fewer.weights[-1])


def test_routing_with_all_and_cutting_is_not_masking():
    e, S, b = randn(2, 6, 3), torch.eye(3).double(), randn(2, 6, 4, seed=1)
    own = (torch.arange(4) < 2).expand(2, -1)
    cut = b2i_routing(e, S, 4, logits=b).interests[:, :2]
    masked = b2i_routing(e, S, 4, logits=b, interest_mask=own).interests[:, :2]
    assert (cut - masked).abs().max() > 0.01


@pytest.mark.parametrize("iterations", [1, 3, 10])
def test_equal_logits_with_a_shared_map_stay_equal(iterations):
    """Equal in exact arithmetic; a matrix product may round its rows differently, so not to the last bit."""
    for start in (torch.zeros(4, 9, 5).double(), randn(4, 9, 1).expand(-1, -1, 5)):
        found = b2i_routing(randn(4, 9, 6), randn(6, 6, seed=1), 5, logits=start, iterations=iterations).interests
        assert_close(found, found[:, :1].expand_as(found), rtol=0, atol=1e-9)
        assert (found != 0).all()


def test_own_maps_break_the_tie_from_zero_logits():
    found = dynamic_routing(randn(2, 9, 3, 6)).interests
    assert (mean_cosine(found) < 0.9).all()


def test_accumulated_logits_grow_by_the_same_step_and_their_weights_settle():
    e = torch.tensor([[[1.8, 0.2], [1.6, 0.1], [0.1, 1.9], [0.2, 1.6]]]).double()
    found = b2i_routing(e, torch.eye(2).double(), 2, logits=randn(1, 4, 2), iterations=80)
    b = torch.stack(found.logits)
    assert_close(b[-1] - b[-2], b[-11] - b[-12], atol=1e-4, rtol=0)
    assert (b[-1] - b[-2]).abs().max() > 1
    assert_close(found.weights[-1], found.weights[-2], atol=1e-6, rtol=0)
    assert_close(found.weights[-1], found.weights[-1].round(), atol=1e-6, rtol=0)


def test_assigned_logits_reach_the_fixed_point():
    e = 3 * torch.nn.functional.normalize(randn(1, 12, 2), dim=2)
    found = b2i_routing(e, torch.eye(2).double(), 2, logits=randn(1, 12, 2, seed=1), iterations=300, update="assign")
    agreement = e @ found.interests.transpose(1, 2)
    assert_close(found.logits[-1], agreement)
    assert_close(found.weights[-1], agreement.softmax(2))


def test_a_rotation_of_the_map_changes_no_weight():
    e, b = randn(2, 8, 5), randn(2, 8, 3, seed=1)
    rotation = torch.linalg.qr(randn(5, 5, seed=2))[0]
    plain, turned = (b2i_routing(e, S, 3, logits=b, iterations=5) for S in (torch.eye(5).double(), rotation))
    assert_close(turned.weights, plain.weights)
    assert_close(turned.interests, plain.interests @ rotation.T)


# ---------------------------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
@pytest.mark.parametrize("votes", [False, True])
def test_detached_and_whole_gradient_give_the_same_values(iterations, votes):
    e, S, b = randn(2, 6, 4), randn(4, 4, seed=1), randn(2, 6, 3, seed=2)
    (whole, all_gradients), (detached, last_gradients) = (
        one_run(e, S, b, iterations=iterations, gradient=gradient, votes=votes) for gradient in ("all", "last")
    )
    assert_close(detached.interests, whole.interests, rtol=0, atol=0)
    for one, other in zip(all_gradients[:2], last_gradients[:2], strict=True):
        assert (one != 0).any()
        assert (other != 0).any()
        assert torch.equal(one, other) == (iterations == 1)


def test_last_gradient_is_that_of_constant_weights():
    e, b = randn(2, 6, 4), randn(2, 6, 3, seed=2)
    S = randn(4, 4, seed=1).requires_grad_()
    found = b2i_routing(e, S, 3, logits=b, gradient="last")
    push = randn(2, 3, 4, seed=3)
    (one,) = torch.autograd.grad((found.interests * push).sum(), S)
    z = found.weights[-1].detach().transpose(1, 2) @ (e @ S.T)
    n = z.norm(dim=2, keepdim=True)
    (other,) = torch.autograd.grad((n / (1 + n * n) * z * push).sum(), S)
    assert_close(one, other)


@pytest.mark.parametrize(("update", "axis"), SWITCHES)
@pytest.mark.parametrize("votes", [False, True])
def test_gradient_against_differences(update, axis, votes):
    e, S, b = (x.requires_grad_() for x in (randn(2, 3, 2), randn(2, 2, seed=1), randn(2, 3, 2, seed=2)))
    mask, own = torch.tensor([[True, True, False], [True] * 3]), torch.tensor([[True, True], [True, False]])

    def interests(e, S, b):
        options = dict(mask=mask, interest_mask=own, logits=b, update=update, axis=axis)
        if votes:
            return dynamic_routing((e @ S.T)[:, :, None, :].expand(-1, -1, 2, -1), **options).interests
        return b2i_routing(e, S, 2, **options).interests

    assert torch.autograd.gradcheck(interests, (e, S, b))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e-20, 1e-10, 1.0, 1e10, 1e20])
@pytest.mark.parametrize(("update", "axis"), SWITCHES)
def test_values_and_gradients_are_finite_at_any_size(size, dtype, update, axis):
    e, S, b = (
        size * randn(2, 7, 4, dtype=dtype),
        randn(4, 4, seed=1, dtype=dtype),
        randn(2, 7, 3, seed=2, dtype=dtype),
    )
    mask = some_mask(2, 7)
    for gradient in GRADIENTS:
        found, gradients = one_run(e, S, b, mask=mask, update=update, axis=axis, gradient=gradient)
        for x in (*found.interests_by_iteration, *found.weights, *found.logits, *gradients):
            assert x.isfinite().all()


def test_votes_of_extreme_size_are_finite_too():
    for size in (1e-20, 1e20):
        votes = (size * randn(2, 5, 3, 4, dtype=torch.float32)).requires_grad_()
        found = dynamic_routing(votes)
        (gradient,) = torch.autograd.grad(found.interests.sum(), votes)
        assert found.interests.isfinite().all()
        assert gradient.isfinite().all()


# ------------------------------------------------------------------------------------------------------------ details


def test_the_default_draw_is_gaussian_and_can_be_repeated():
    e, S = randn(40, 30, 2), torch.eye(2).double()
    draw = lambda seed, std=1.0: b2i_routing(  # noqa: E731
        e, S, 8, init_std=std, generator=torch.Generator().manual_seed(seed)
    )
    b = draw(0, 3.0).logits[0]
    assert b.dtype == torch.float64
    assert abs(b.mean()) < 0.1
    assert abs(b.std() - 3) < 0.1
    assert torch.equal(draw(1).interests, draw(1).interests)
    assert not torch.equal(draw(1).interests, draw(2).interests)
    assert (draw(0, 0.0).logits[0] == 0).all()


def test_inputs_are_left_alone():
    e, S, b, mask = randn(2, 5, 3), randn(3, 3), randn(2, 5, 4), some_mask(2, 5)
    copies = [x.clone() for x in (e, S, b, mask)]
    b2i_routing(e, S, 4, mask=mask, logits=b)
    dynamic_routing(e[:, :, None, :].expand(-1, -1, 4, -1), mask=mask, logits=b)
    for x, copy in zip((e, S, b, mask), copies, strict=True):
        assert torch.equal(x, copy)


def test_num_interests_may_be_a_numpy_integer():
    assert b2i_routing(randn(1, 3, 2), torch.eye(2).double(), np.int64(3)).interests.shape == (1, 3, 2)


E, S2, V = torch.ones(2, 3, 4), torch.eye(4), torch.ones(2, 3, 5, 4)
NAN = torch.full((2, 3, 4), torch.nan)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: b2i_routing(E[0], S2, 2), ValueError, r"behaviors must have shape \(B, T, D\)"),
        (lambda: b2i_routing(E.numpy(), S2, 2), TypeError, "behaviors must be a torch tensor"),
        (lambda: b2i_routing(E.long(), S2, 2), TypeError, "behaviors must hold floating-point numbers"),
        (lambda: b2i_routing(E[:, :0], S2, 2), ValueError, "behaviors has shape .*: dimension T is empty"),
        (lambda: b2i_routing(E[:0], S2, 2), ValueError, "dimension B is empty"),
        (lambda: b2i_routing(NAN, S2, 2), ValueError, "behaviors must hold finite numbers, got nan"),
        (lambda: b2i_routing(E, torch.eye(3), 2), ValueError, r"bilinear must have shape \(D_out, D=4\)"),
        (lambda: b2i_routing(E, S2 * torch.inf, 2), ValueError, "bilinear must hold finite numbers"),
        (lambda: b2i_routing(E, S2.double(), 2), TypeError, "bilinear must have the dtype of the other arguments"),
        (lambda: b2i_routing(E, S2, 0), ValueError, "num_interests must be at least 1, got 0"),
        (lambda: b2i_routing(E, S2, -3), ValueError, "num_interests must be at least 1, got -3"),
        (lambda: b2i_routing(E, S2, 2.0), TypeError, "num_interests must be an integer, got float"),
        (lambda: b2i_routing(E, S2, 2, iterations=0), ValueError, "iterations must be at least 1"),
        (lambda: b2i_routing(E, S2, 2, init_std=-1.0), ValueError, "init_std must be a finite number of at least 0"),
        (lambda: b2i_routing(E, S2, 2, init_std=math.nan), ValueError, "init_std must be a finite number"),
        (lambda: b2i_routing(E, S2, 2, logits=torch.zeros(2, 3, 3)), ValueError, r"logits must have shape .*K=2"),
        (lambda: b2i_routing(E, S2, 2, logits=torch.zeros(2, 3, 2).double()), TypeError, "logits must have the dtype"),
        (lambda: b2i_routing(E, S2, 4, logits=NAN), ValueError, "logits must hold finite numbers"),
        (lambda: b2i_routing(E, S2, 2, mask=torch.ones(2, 3)), TypeError, "mask must hold True and False"),
        (lambda: b2i_routing(E, S2, 2, mask=torch.ones(3, 3) > 0), ValueError, r"mask must have shape \(B=2, T=3\)"),
        (
            lambda: b2i_routing(E, S2, 2, mask=torch.tensor([[True] * 3, [False] * 3])),
            ValueError,
            "mask: row 1 has no True entry",
        ),
        (
            lambda: b2i_routing(E, S2, 2, interest_mask=torch.tensor([[False, False], [True, True]])),
            ValueError,
            "interest_mask: row 0 has no True entry",
        ),
        (lambda: b2i_routing(E, S2, 2, interest_mask=torch.ones(2, 3) > 0), ValueError, "interest_mask must have"),
        (lambda: b2i_routing(E, S2, 2, update="add"), ValueError, "update must be one of .*; got 'add'"),
        (lambda: b2i_routing(E, S2, 2, axis="history"), ValueError, "axis must be one of 'interests', 'behaviors'"),
        (lambda: b2i_routing(E, S2, 2, gradient="none"), ValueError, "gradient must be one of 'all', 'last'"),
        (lambda: dynamic_routing(E), ValueError, r"votes must have shape \(B, T, K, D\), got \(2, 3, 4\)"),
        (lambda: dynamic_routing(V.int()), TypeError, "votes must hold floating-point numbers"),
        (lambda: dynamic_routing(V * torch.nan), ValueError, "votes must hold finite numbers"),
        (lambda: dynamic_routing(V, iterations=-1), ValueError, "iterations must be at least 1, got -1"),
        (lambda: dynamic_routing(V, iterations=True), TypeError, "iterations must be an integer, got bool"),
        (lambda: dynamic_routing(V, mask=torch.zeros(2, 3) > 0), ValueError, "mask: row 0 has no True entry"),
        (lambda: dynamic_routing(V, logits=torch.zeros(2, 3, 4)), ValueError, r"logits must have shape .*K=5"),
        (lambda: dynamic_routing(V, update=None), ValueError, "update must be one of"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_clear_error(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


# --------------------------------------------------------------------------------------------------------- adaptive K


def test_adaptive_is_exact_at_and_beside_every_power_of_two():
    for p in range(1, 63):
        n = torch.tensor([2**p - 1, 2**p, 2**p + 1])
        assert adaptive_num_interests(n, 99, "floor").tolist() == [max(1, p - 1), p, p]
        assert adaptive_num_interests(n, 99, "ceil").tolist() == [max(1, p if p > 1 else 0), p, p + 1]


def test_adaptive_rounding_to_the_nearest_is_exact():
    """round(log2 n) passes from p to p + 1 at 2^(p + 1/2), which no whole number hits."""
    for p in range(0, 63):
        below = math.isqrt(2 ** (2 * p + 1))  # the last length whose logarithm is below p + 1/2
        n = torch.tensor([below, below + 1])
        assert adaptive_num_interests(n, 99, "round").tolist() == [max(1, p), p + 1]
    assert adaptive_num_interests(torch.tensor([2**p for p in range(1, 63)]), 99, "round").tolist() == list(
        range(1, 63)
    )


@given(n=st.integers(1, 10**6), k=st.integers(1, 30))
def test_adaptive_against_the_logarithm(n, k):
    exact = n & (n - 1) == 0
    log = n.bit_length() - 1
    rounded = {"floor": log, "ceil": log + (not exact), "round": round(math.log2(n))}
    for rounding, value in rounded.items():
        assert adaptive_num_interests(torch.tensor([n]), k, rounding).tolist() == [max(1, min(k, value))]


def test_adaptive_table_of_the_chapter():
    n = torch.tensor([1, 3, 4, 7, 8, 20, 50])
    assert adaptive_num_interests(n, 8).tolist() == [1, 1, 2, 2, 3, 4, 5]
    assert adaptive_num_interests(n, 8, "ceil").tolist() == [1, 2, 2, 3, 3, 5, 6]
    assert adaptive_num_interests(n, 8, "round").tolist() == [1, 2, 2, 3, 3, 4, 6]
    assert adaptive_num_interests(n, 4).tolist() == [1, 1, 2, 2, 3, 4, 4]
    assert adaptive_num_interests(n.int(), 8).dtype == torch.int64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: adaptive_num_interests(torch.tensor([3, 0]), 4), ValueError, "lengths must be at least 1, got 0"),
        (lambda: adaptive_num_interests(torch.tensor([-1]), 4), ValueError, "lengths must be at least 1, got -1"),
        (lambda: adaptive_num_interests(torch.tensor([3.0]), 4), TypeError, "lengths must hold whole numbers"),
        (lambda: adaptive_num_interests([3], 4), TypeError, "lengths must be a torch tensor"),
        (lambda: adaptive_num_interests(torch.tensor([[3]]), 4), ValueError, r"lengths must have shape \(B\)"),
        (lambda: adaptive_num_interests(torch.tensor([3]), 0), ValueError, "max_interests must be at least 1"),
        (lambda: adaptive_num_interests(torch.tensor([3]), 4, "up"), ValueError, "rounding must be one of"),
    ],
)
def test_adaptive_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def numpy_far_apart(x, mask, num_interests, scale):
    """One user: the latest real behaviour, then the one least similar to those chosen."""
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    real = np.flatnonzero(mask)
    chosen = [real[-1]]
    while len(chosen) < num_interests:
        free = [i for i in real if i not in chosen]
        chosen.append(min(free, key=lambda i: max(x[i] @ x[c] for c in chosen)) if free else real[-1])
    return scale * x @ x[chosen].T


@pytest.mark.parametrize("seed", range(3))
def test_far_apart_logits_equal_the_loop(seed):
    rng = np.random.default_rng(seed)
    x, mask = rng.normal(size=(4, 7, 3)), rng.random((4, 7)) < 0.6
    mask[:, 2] = True
    got = far_apart_logits(torch.tensor(x), 5, mask=torch.tensor(mask), scale=2.0)
    for b in range(4):
        expected = numpy_far_apart(x[b], mask[b], 5, 2.0)
        np.testing.assert_allclose(got[b][torch.tensor(mask[b])], expected[mask[b]], atol=1e-12)


def test_far_apart_logits_need_no_dice_and_ignore_padding():
    votes = torch.randn(3, 6, 4)
    padded = torch.cat([votes, torch.full((3, 2, 4), 1e30)], 1)
    mask = torch.arange(8).expand(3, 8) < 6
    torch.testing.assert_close(far_apart_logits(padded, 3, mask=mask)[:, :6], far_apart_logits(votes, 3))
    assert not far_apart_logits(votes.requires_grad_(), 3).requires_grad


def test_far_apart_logits_name_bad_input():
    with pytest.raises(ValueError, match="num_interests must be at least 1"):
        far_apart_logits(torch.zeros(1, 2, 3), 0)
    with pytest.raises(ValueError, match="scale"):
        far_apart_logits(torch.zeros(1, 2, 3), 1, scale=-1.0)
    with pytest.raises(ValueError, match="row 0"):
        far_apart_logits(torch.zeros(1, 2, 3), 1, mask=torch.zeros(1, 2, dtype=torch.bool))


def test_without_a_map_the_behaviours_are_the_votes():
    behaviors, bilinear, logits = torch.randn(2, 5, 3), torch.randn(4, 3), torch.randn(2, 5, 2)
    mapped = b2i_routing(behaviors, bilinear, 2, logits=logits)
    direct = b2i_routing(behaviors @ bilinear.T, None, 2, logits=logits)
    torch.testing.assert_close(mapped.interests, direct.interests)

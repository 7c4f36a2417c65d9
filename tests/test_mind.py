"""MIND: label-aware attention, the user tower, and what it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mi_lite.mind import FORMS, MAPS, MIND, STARTS, label_aware_attention
from mi_lite.routing import b2i_routing


def numpy_label_aware(interests, target, power, mask, form):
    """The formula, one user and one interest at a time."""
    users, all_weights = [], []
    for v, e, m in zip(interests, target, mask, strict=True):
        scores = [float(v[k] @ e) for k in range(len(v))]
        if form == "scaled" and math.isinf(power):
            best = max((s, -k) for k, s in enumerate(scores) if m[k])
            weights = np.array([1.0 if k == -best[1] else 0.0 for k in range(len(v))])
        else:
            logits = []
            for s in scores:
                logits.append(
                    {"scaled": power * s, "power": s**power, "signed_power": np.sign(s) * abs(s) ** power}[form]
                )
            exps = np.array([math.exp(x - max(logits)) if m[k] else 0.0 for k, x in enumerate(logits)])
            weights = exps / exps.sum()
        all_weights.append(weights)
        users.append(sum(w * x for w, x in zip(weights, v, strict=True)))
    return np.array(users), np.array(all_weights)


def draw(seed: int, B=3, K=4, D=5):
    rng = np.random.default_rng(seed)
    mask = rng.random((B, K)) < 0.7
    mask[:, rng.integers(K)] = True
    return rng.normal(size=(B, K, D)), rng.normal(size=(B, D)), mask


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("power", [0.0, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_equals_the_formula_in_numpy(form, power, seed):
    v, e, m = draw(seed)
    got = label_aware_attention(torch.tensor(v), torch.tensor(e), power, torch.tensor(m), form)
    user, weights = numpy_label_aware(v, e, power, m, form)
    np.testing.assert_allclose(got.user, user, atol=1e-12)
    np.testing.assert_allclose(got.weights, weights, atol=1e-12)


def test_a_case_by_hand():
    interests = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    got = label_aware_attention(interests, torch.tensor([[math.log(3.0), 0.0]]), 1.0)
    torch.testing.assert_close(got.weights, torch.tensor([[0.75, 0.25]]))
    torch.testing.assert_close(got.user, torch.tensor([[0.75, 0.25]]))


@given(st.integers(0, 1000), st.floats(0, 50))
def test_scaled_keeps_the_order_and_sums_to_one(seed, power):
    v, e, m = (torch.tensor(x) for x in draw(seed))
    got = label_aware_attention(v, e, power, m)
    scores = (v @ e[:, :, None])[:, :, 0]
    torch.testing.assert_close(got.weights.sum(1), torch.ones(3, dtype=torch.float64))
    assert (got.weights[~m] == 0).all()
    for b in range(3):
        order = scores[b][m[b]].argsort()
        assert (got.weights[b][m[b]][order].diff() >= -1e-15).all()


def test_both_limits_of_the_scaled_form():
    v, e, m = (torch.tensor(x) for x in draw(7))
    flat = label_aware_attention(v, e, 0.0, m)
    torch.testing.assert_close(flat.weights, m / m.sum(1, keepdim=True).double())
    sharp = label_aware_attention(v, e, math.inf, m)
    assert sorted(sharp.weights.unique().tolist()) == [0.0, 1.0]
    torch.testing.assert_close(label_aware_attention(v, e, 1e6, m).weights, sharp.weights)


def test_the_literal_power_has_neither_limit():
    interests = torch.tensor([[[0.9, 0.0], [-0.95, 0.0]]])
    target = torch.tensor([[1.0, 0.0]])
    even = label_aware_attention(interests, target, 2.0, form="power")
    assert even.weights[0, 1] > even.weights[0, 0]  # the most negative score wins
    large = label_aware_attention(interests, target, 200.0, form="power")
    torch.testing.assert_close(large.weights, torch.full((1, 2), 0.5), atol=1e-4, rtol=0)  # uniform, not one-hot


def test_infinite_power_passes_gradient_to_the_chosen_interest_only():
    v, e, _ = (torch.tensor(x) for x in draw(3))
    v.requires_grad_()
    got = label_aware_attention(v, e, math.inf)
    got.user.sum().backward()
    chosen = got.weights.bool()
    assert (v.grad[chosen] == 1).all() and (v.grad[~chosen] == 0).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(power=-1.0), "power must be"),
        (dict(power=math.nan), "power must be"),
        (dict(power=math.inf, form="power"), "power must be"),
        (dict(power=0.5, form="power"), "negative score"),
        (dict(form="cubic"), "form must be one of"),
        (dict(target=torch.zeros(3, 4)), "target must have shape"),
        (dict(interests=torch.full((3, 4, 5), math.nan)), "finite"),
        (dict(interest_mask=torch.zeros(3, 4, dtype=torch.bool)), "row 0 has no True"),
    ],
)
def test_bad_input_is_named(change, words):
    v, e, _ = draw(0)
    arguments = dict(interests=torch.tensor(v), target=torch.tensor(e), power=1.0)
    with pytest.raises((ValueError, TypeError), match=words):
        label_aware_attention(**{**arguments, **change})


# ------------------------------------------------------------------------------------------------------------ the model


def history_of(seed: int, B=6, T=9, N=40):
    rng = np.random.default_rng(seed)
    history = rng.integers(1, N + 1, (B, T))
    for b, n in enumerate(rng.integers(1, T + 1, B)):
        history[b, n:] = 0
    return torch.tensor(history)


def build(**options):
    rng = np.random.default_rng(1)
    features = rng.random((41, 6)) < 0.4
    features[0] = False
    return MIND(40, 8, 3, item_features=features, profile_sizes=(4, 2), max_history=20, **options).eval()


PROFILE = torch.tensor([[0, 0], [1, 1], [2, 0], [3, 1], [0, 1], [1, 0]])


@pytest.mark.parametrize("start", [s for s in STARTS if s != "fresh"])
@pytest.mark.parametrize("maps", MAPS)
def test_same_user_same_interests_whatever_batch_and_padding(start, maps):
    model, history = build(start=start, maps=maps, recency=True, adaptive=True), history_of(0)
    with torch.no_grad():
        model.recency.normal_()
        together = model.interests(history, profile=PROFILE)
        wide = torch.cat([history, torch.zeros(6, 8, dtype=torch.int64)], 1)
        left = torch.stack([torch.cat([row[row == 0], row[row != 0]]) for row in wide])
        for b in range(6):
            alone = model.interests(history[b : b + 1], profile=PROFILE[b : b + 1]).vectors
            torch.testing.assert_close(alone[0], together.vectors[b], atol=1e-6, rtol=1e-5)
        for padded in (wide, left):
            got = model.interests(padded, profile=PROFILE).vectors
            torch.testing.assert_close(got, together.vectors, atol=1e-6, rtol=1e-5)


def test_fresh_logits_cannot_promise_that():
    model, history = build(start="fresh"), history_of(0)
    with torch.no_grad():
        first, second = (model.interests(history, profile=PROFILE).vectors for _ in range(2))
    assert (first - second).abs().max() > 1e-3


def test_zero_start_with_a_shared_map_gives_equal_interests():
    with torch.no_grad():
        shared = build(start="zero").interests(history_of(0), profile=PROFILE).vectors
        own = build(start="zero", maps="own").interests(history_of(0), profile=PROFILE).vectors
    torch.testing.assert_close(shared[:, 0], shared[:, 1], atol=0, rtol=0)
    assert (own[:, 0] - own[:, 1]).abs().max() > 1e-3


def test_the_tower_step_by_step():
    """Embedding and pooling, routing, profile and projection, each by hand."""
    model, history = build(), history_of(2)
    with torch.no_grad():
        features = model.item_features[history]
        behaviors = (model.items.weight[history] + features @ model.feature_vectors) / 2
        routing = b2i_routing(behaviors, model.bilinear, 3, mask=history != 0, logits=model.start_logits[history])
        fields = torch.cat([model.fields[p].weight[PROFILE[:, p]] for p in range(2)], 1)
        joined = torch.cat([routing.interests, fields[:, None].repeat(1, 3, 1)], 2)
        first, _, second = model.project
        expected = torch.relu(joined @ first.weight.T + first.bias) @ second.weight.T + second.bias
        got = model.interests(history, profile=PROFILE)
    torch.testing.assert_close(got.vectors, expected, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(got.trace.weights[-1], routing.weights[-1], atol=1e-6, rtol=1e-5)


def test_item_vectors_are_the_same_one_by_one_and_all_at_once():
    model = build()
    ids = torch.tensor([[3, 0], [40, 7]])
    torch.testing.assert_close(model.item_vectors(ids), model.item_vectors()[ids])
    assert (model.item_vectors()[0] == 0).all()
    assert (build().item_features.sum(1)[1:] - 1).abs().max() < 1e-6 or (model.item_features.sum(1) <= 1 + 1e-6).all()


def test_adaptive_interests_are_masked_and_zero():
    model, history = build(adaptive=True), history_of(1)
    with torch.no_grad():
        user = model.interests(history, profile=PROFILE)
    lengths = (history != 0).sum(1)
    expected = [max(1, min(3, int(math.log2(n)))) for n in lengths.tolist()]
    assert user.mask.sum(1).tolist() == expected
    assert (user.vectors[~user.mask] == 0).all()


def test_every_parameter_gets_a_gradient():
    model = build(start="learned", recency=True, gradient="all").train()
    model.interests(history_of(0), profile=PROFILE).vectors.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_order_of_the_history_does_not_matter_without_recency():
    model, history = build(), history_of(0)
    flipped = torch.stack([torch.cat([row[row != 0].flip(0), row[row == 0]]) for row in history])
    with torch.no_grad():
        one, other = (model.interests(h, profile=PROFILE).vectors for h in (history, flipped))
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(history=torch.tensor([[41]])), "id 41; expected 0"),
        (dict(history=torch.tensor([[-1]])), "id -1"),
        (dict(history=torch.tensor([[0, 0]])), "row 0 has no True"),
        (dict(history=torch.tensor([[1.5]])), "history must"),
        (dict(history=torch.ones(1, 21, dtype=torch.int64)), "at most 20"),
        (dict(profile=None), "needs a profile"),
        (dict(profile=torch.tensor([[4, 0]])), "field 0 must hold codes from 0 to 3"),
        (dict(mask=torch.ones(1, 3, dtype=torch.bool)), "mask"),
    ],
)
def test_the_model_names_bad_input(change, words):
    arguments = dict(history=torch.tensor([[1, 2]]), profile=torch.tensor([[0, 0]]))
    with pytest.raises((ValueError, TypeError), match=words):
        build().interests(**{**arguments, **change})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (dict(num_interests=0), "num_interests must be at least 1"),
        (dict(start="warm"), "start must be one of"),
        (dict(maps="some"), "maps must be one of"),
        (dict(iterations=0), "iterations must be at least 1"),
        (dict(hidden=0, profile_sizes=(2,)), "projection layer"),
        (dict(item_features=np.zeros((3, 2), bool)), "item_features must have shape"),
    ],
)
def test_the_constructor_names_bad_options(options, words):
    with pytest.raises((ValueError, TypeError), match=words):
        MIND(40, 8, **options)

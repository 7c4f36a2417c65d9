"""Training rules and losses against loops in NumPy, and the log-Q correction against the full softmax."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mi_lite.losses import RULES, candidate_scores, full_softmax, sampled_softmax


def draw(seed=0, B=3, K=4, M=6, D=5):
    rng = np.random.default_rng(seed)
    mask = rng.random((B, K)) < 0.6
    mask[:, 1] = True
    return rng.normal(size=(B, K, D)), rng.normal(size=(B, D)), rng.normal(size=(M, D)), mask


def numpy_scores(interests, target, candidates, mask, rule, power):
    out = np.empty((len(interests), len(candidates)))
    for b, v in enumerate(interests):
        v = v[mask[b]]
        to_target = v @ target[b]
        for i, c in enumerate(candidates):
            scores = v @ c
            if rule == "target_picks":
                out[b, i] = scores[to_target.argmax()]
            elif rule == "label_aware":
                w = np.exp(power * (to_target - to_target.max()))
                out[b, i] = (w / w.sum()) @ scores
            elif rule == "max":
                out[b, i] = scores.max()
            else:
                out[b, i] = math.log(np.mean(np.exp(scores)))
    return out


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shared", [True, False])
def test_each_rule_equals_its_formula(rule, shared):
    v, e, c, m = draw()
    candidates = torch.tensor(c) if shared else torch.tensor(c).expand(3, -1, -1)
    got = candidate_scores(
        torch.tensor(v), torch.tensor(e), candidates, rule=rule, power=2.0, interest_mask=torch.tensor(m)
    )
    np.testing.assert_allclose(got, numpy_scores(v, e, c, m, rule, 2.0), atol=1e-12)


def test_all_rules_agree_for_one_interest():
    v, e, c, _ = draw(K=2)
    one = torch.tensor(v[:, :1])
    results = [candidate_scores(one, torch.tensor(e), torch.tensor(c), rule=rule) for rule in RULES]
    for other in results[1:]:
        torch.testing.assert_close(other, results[0])


def test_a_masked_zero_interest_does_not_win():
    """All scores negative: without its mask the zero vector of an unused place would be the best interest."""
    interests = torch.tensor([[[-1.0, 0.0], [0.0, 0.0]]])
    target = torch.tensor([[1.0, 0.0]])
    mask = torch.tensor([[True, False]])
    for rule in RULES:
        got = candidate_scores(interests, target, target, rule=rule, interest_mask=mask)
        torch.testing.assert_close(got, torch.tensor([[-1.0]]))


def test_full_softmax_by_hand():
    scores = torch.tensor([[99.0, 0.0, math.log(3.0)]])  # column 0 is padding and takes no part
    torch.testing.assert_close(full_softmax(scores, torch.tensor([2])), torch.tensor(math.log(4 / 3)))


def test_sampled_softmax_by_hand_with_an_accidental_hit():
    positive, negatives = torch.tensor([0.0]), torch.tensor([[0.0, 0.0, 5.0]])
    got = sampled_softmax(positive, negatives, torch.tensor([7]), torch.tensor([1, 2, 7]))
    torch.testing.assert_close(got, torch.tensor(math.log(3.0)))


def test_log_q_makes_the_sampled_optimum_that_of_the_full_softmax():
    """Minimise the sampled loss for one user: with log-Q the scores end at log p, without it at log p - log q."""
    generator = torch.Generator().manual_seed(0)
    p = torch.tensor([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    q = torch.tensor([0.05, 0.35, 0.1, 0.3, 0.05, 0.15])
    number, batch = 3, 256
    off = {}
    for name, log_q in (("corrected", (q * number).log()), ("plain", None)):
        scores = torch.zeros(6, requires_grad=True)
        optimizer = torch.optim.Adam([scores], lr=0.05)
        tail = torch.zeros(6)
        for step in range(1500):
            target = torch.multinomial(p, batch, replacement=True, generator=generator)
            sampled = torch.multinomial(q, number, replacement=True, generator=generator)
            optimizer.zero_grad()
            sampled_softmax(scores[target], scores[sampled].expand(batch, -1), target, sampled, log_q=log_q).backward()
            optimizer.step()
            tail += scores.detach() / 1000 if step >= 500 else 0
        distance = tail - p.log()
        off[name] = (distance - distance.mean()).abs().max().item()
    assert off["corrected"] < 0.3 < 0.7 < off["plain"], off


@pytest.mark.parametrize("rule", RULES)
def test_gradients_are_finite_at_extreme_scores(rule):
    v, e, c, _ = draw()
    interests = (torch.tensor(v) * 1e3).requires_grad_()
    scores = candidate_scores(interests, torch.tensor(e), torch.tensor(c), rule=rule)
    full_softmax(torch.cat([torch.zeros(3, 1), scores], 1), torch.tensor([1, 2, 3])).backward()
    assert torch.isfinite(interests.grad).all()


def test_bad_input_is_named():
    v, e, c, _ = (torch.tensor(x) for x in draw())
    with pytest.raises(ValueError, match="rule must be one of"):
        candidate_scores(v, e, c, rule="best")
    with pytest.raises(ValueError, match="candidates must have shape"):
        candidate_scores(v, e, c[:, :3], rule="max")
    with pytest.raises(ValueError, match="target must have shape"):
        full_softmax(torch.zeros(2, 5), torch.tensor([1]))
    with pytest.raises(ValueError, match="positive must have shape"):
        sampled_softmax(torch.zeros(3), torch.zeros(2, 5), torch.tensor([1, 2]), torch.tensor([1, 2, 3, 4, 5]))

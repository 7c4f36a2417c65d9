"""Exercises of chapter 4: the best interest, label-aware attention, training rules, the sampled loss, serving."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, normalize

from mi_lite.exercises.bank import after, first_users, without
from mi_lite.exercises.cases import source
from mi_lite.exercises.forms import Case, Coding, Function, Mistake, Parsons, Property, Research


def _interests(seed: int, B: int, K: int, D: int) -> tuple[Tensor, Tensor]:
    """Interests ``(B, K, D)`` and the mask ``(B, K)`` of those that exist; the others hold large numbers.

    The first user lacks one interest, the second has all, each next one has one fewer, at least one.
    """
    number = torch.tensor([K - 1, *(max(1, K - b) for b in range(B - 1))])
    mask = torch.arange(K)[None] < number[:, None]
    drawn = torch.randn(B, K, D, generator=source(seed))
    return torch.where(mask[:, :, None], drawn, 6 * drawn), mask


# ---- the best interest ----


def best_scores(interests: Tensor, items: Tensor, interest_mask: Tensor) -> Tensor:
    scores = interests @ items.T
    return scores.masked_fill(~interest_mask[:, :, None], -torch.inf).amax(dim=1)


def _best_cases() -> list[Case]:
    cases = []
    for seed, (B, K, D, N) in enumerate(((3, 4, 5, 7), (5, 3, 2, 8))):
        v, mask = _interests(seed, B, K, D)
        items = torch.randn(N, D, generator=source(seed + 10))
        items[1:4] = -v[:3, 0]  # scores that are negative for one real interest
        cases.append(dict(interests=v, items=items, interest_mask=mask))
    return cases


def _from_one_interest(case: Case, scores: Tensor, vectors: Tensor) -> bool:
    """Whether each of ``scores (B, M)`` is that of one interest which the user has."""
    every = (case["interests"] @ vectors.T).masked_fill(~case["interest_mask"][:, :, None], torch.inf)
    return bool(torch.isclose(scores[:, None].to(every.dtype), every, rtol=1e-3, atol=1e-3).any(1).all())


def _reduced(reduce: Callable[[Tensor], Tensor], masked: float = -torch.inf) -> Function:
    """Scores of all interests, the masked ones filled, reduced over K in another way."""

    def wrong(interests: Tensor, items: Tensor, interest_mask: Tensor) -> Tensor:
        return reduce((interests @ items.T).masked_fill(~interest_mask[:, :, None], masked))

    return wrong


def _mean_of_interests(interests: Tensor, items: Tensor, interest_mask: Tensor) -> Tensor:
    real = interests * interest_mask[:, :, None]
    return real.sum(1) / interest_mask.sum(1, keepdim=True) @ items.T


def _largest_numbers(interests: Tensor, items: Tensor, interest_mask: Tensor) -> Tensor:
    return interests.masked_fill(~interest_mask[:, :, None], -torch.inf).amax(1) @ items.T


BEST = Coding(
    name="mind.best_interest",
    title="The empty interest must not win",
    task=(
        "Score every item by the interest that likes it best, [(4.10)](#eq-mind-score). `interest_mask` is True where "
        "the user has an interest; the other places hold leftovers that no score may come from."
    ),
    stub='''def best_scores(interests, items, interest_mask):
    """interests (B, K, D), items (N, D), interest_mask (B, K) -> scores (B, N)"""
    ...
''',
    solve=best_scores,
    cases=_best_cases,
    inputs={"interests": "B K D", "items": "N D", "interest_mask": "B K"},
    returns={"scores": "B N"},
    hints=(
        "First all scores of all interests, (B, K, N), then the best over one of the three dimensions.",
        "interests @ items.T is (B, K, N). Which number can never be the largest, even where all scores are negative?",
        "scores.masked_fill(~interest_mask[:, :, None], -torch.inf) takes absent interests out; K is dimension 1.",
    ),
    properties=(
        Property(
            "Each score should be the inner product of the item with one of the user's interests.",
            lambda case, s: _from_one_interest(case, s, case["items"]),
        ),
        Property(
            "No interest that the user has should score an item higher than its score.",
            lambda case, s: bool((s + 1e-4 >= best_scores(**case)).all()),
        ),
    ),
    mistakes=(
        Mistake(
            "Scores of absent interests count as 0. Where all real interests score below 0, the empty one wins. It "
            "has to be -∞.",
            _reduced(lambda s: s.amax(1), masked=0.0),
        ),
        Mistake(
            "The interest mask is not used: the leftovers in absent places win.",
            without(best_scores, interest_mask=torch.ones_like),
        ),
        Mistake(
            "The scores of the interests are summed. Each item is judged by its best interest alone.",
            _reduced(lambda s: s.sum(1), masked=0.0),
        ),
        Mistake(
            "The scores of the interests are averaged: that is one vector, the mean of the interests, and not the best "
            "of several.",
            _mean_of_interests,
        ),
        Mistake(
            "The mean runs over all K places, absent interests included, and it should be the best and not the mean.",
            _reduced(lambda s: s.mean(1), masked=0.0),
        ),
        Mistake(
            "Only interest 0 is searched: the user has others.",
            _reduced(lambda s: s[:, 0]),
        ),
        Mistake(
            "Negative scores were set to 0. A user may dislike an item, and serving needs to know which she dislikes "
            "least.",
            after(best_scores, lambda s: s.clamp(min=0)),
        ),
        Mistake(
            "The best interest is searched over the whole batch: each user has only her own.",
            after(best_scores, lambda s: s.amax(0).expand_as(s)),
        ),
        Mistake(
            "You keep the interest that likes the item least (min); it should be the one that likes it best.",
            _reduced(lambda s: s.amin(1), masked=torch.inf),
        ),
        Mistake(
            "You take the largest number of each dimension first and score after: that mixes interests into a vector "
            "nobody has. Score with every interest, then take the best score.",
            _largest_numbers,
        ),
        Mistake(
            "You take the score that is largest in size: a strong dislike counts as a liking.",
            _reduced(lambda s: s.abs().amax(1), masked=0.0),
        ),
        Mistake(
            "This is the logarithm of the summed exponentials, a smooth maximum for training. Serving takes the "
            "maximum itself.",
            _reduced(lambda s: s.logsumexp(1)),
        ),
        Mistake(
            "This is the log of the mean exponential, (4.11) on the right, a rule for training. Serving takes the "
            "maximum itself.",
            lambda interests, items, interest_mask: (
                _reduced(lambda s: s.logsumexp(1))(interests, items, interest_mask)
                - interest_mask.sum(1, keepdim=True).log()
            ),
        ),
        Mistake(
            "The interest mask is turned round: absent interests score and real ones don't.",
            without(best_scores, interest_mask=torch.logical_not),
        ),
        Mistake(
            "The scores are cosines. Here lengths count: the score is the inner product.",
            without(best_scores, interests=lambda v: normalize(v, dim=2), items=lambda e: normalize(e, dim=1)),
        ),
    ),
)  # fmt: skip


# ---- label-aware attention ----


def attend(interests: Tensor, target: Tensor, power: float, interest_mask: Tensor) -> tuple[Tensor, Tensor]:
    scores = (interests @ target[:, :, None])[:, :, 0]
    if power == math.inf:
        best = scores.masked_fill(~interest_mask, -torch.inf).argmax(dim=1)
        weights = torch.nn.functional.one_hot(best, scores.shape[1]).to(scores.dtype)
    else:
        weights = (power * scores).masked_fill(~interest_mask, -torch.inf).softmax(dim=1)
    return (weights[:, None, :] @ interests)[:, 0], weights


def _attend_cases() -> list[Case]:
    cases = []
    for seed, (B, K, D, power) in enumerate(((3, 4, 5, 1.0), (5, 3, 2, 0.0), (4, 5, 3, 2.5), (6, 4, 3, math.inf))):
        v, mask = _interests(seed + 20, B, K, D)
        target = torch.randn(B, D, generator=source(seed + 30))
        cases.append(dict(interests=v, target=target, power=power, interest_mask=mask))
    return cases


def _hard(scores: Tensor, mask: Tensor) -> Tensor:
    best = scores.masked_fill(~mask, -torch.inf).argmax(1)
    return torch.nn.functional.one_hot(best, scores.shape[1]).to(scores.dtype)


def _soft(logits: Tensor, mask: Tensor) -> Tensor:
    return logits.masked_fill(~mask, -torch.inf).softmax(1)


def _weighted(weigh: Callable[[Tensor, float, Tensor], Tensor], branch: bool = True) -> Function:
    """Attention with other weights, made from scores, power and mask; ``branch`` treats infinity apart."""

    def wrong(interests: Tensor, target: Tensor, power: float, interest_mask: Tensor) -> tuple[Tensor, Tensor]:
        scores = (interests @ target[:, :, None])[:, :, 0]
        apart = branch and power == math.inf
        weights = _hard(scores, interest_mask) if apart else weigh(scores, power, interest_mask)
        return (weights[:, None, :] @ interests)[:, 0], weights

    return wrong


def _own_length(interests: Tensor, target: Tensor, power: float, interest_mask: Tensor) -> tuple[Tensor, Tensor]:
    scores = interests.square().sum(2)
    weights = _hard(scores, interest_mask) if power == math.inf else _soft(power * scores, interest_mask)
    return (weights[:, None, :] @ interests)[:, 0], weights


def _by_root(interests: Tensor, target: Tensor, power: float, interest_mask: Tensor) -> tuple[Tensor, Tensor]:
    return attend(interests, target / interests.shape[2] ** 0.5, power, interest_mask)


def _cosines(interests: Tensor, target: Tensor, power: float, interest_mask: Tensor) -> tuple[Tensor, Tensor]:
    weights = attend(normalize(interests, dim=2), normalize(target, dim=1), power, interest_mask)[1]
    return (weights[:, None, :] @ interests)[:, 0], weights


def _user(make: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Function:
    """Right weights, and a user made otherwise from interests, weights and target."""

    def wrong(interests: Tensor, target: Tensor, power: float, interest_mask: Tensor) -> tuple[Tensor, Tensor]:
        weights = attend(interests, target, power, interest_mask)[1]
        return make(interests, weights, target), weights

    return wrong


ATTEND = Coding(
    name="mind.label_aware_attention",
    title="Label-aware attention, at every power",
    task=(
        "Mix each user's interests for her target, [(4.6)](#eq-mind-label-aware). It has to hold for every $p$ from 0 "
        "to `math.inf` (then the best interest alone has weight 1), for negative scores, and for users who have fewer "
        "than K interests: an absent one weighs 0."
    ),
    stub='''def attend(interests, target, power, interest_mask):
    """interests (B, K, D), target (B, D), interest_mask (B, K) -> users (B, D), weights (B, K)"""
    ...
''',
    solve=attend,
    cases=_attend_cases,
    inputs={"interests": "B K D", "target": "B D", "power": "", "interest_mask": "B K"},
    returns={"users": "B D", "weights": "B K"},
    hints=(
        "Three steps: one score for each interest (B, K), weights over K, a weighted sum over K.",
        "What is 0 times -∞, and the softmax of ∞ and -∞? Multiply by p first and mask after; give p = ∞ a branch.",
        "In that branch: argmax over K of the masked scores, then torch.nn.functional.one_hot. The user is "
        "(weights[:, None, :] @ interests)[:, 0].",
    ),
    properties=(
        Property(
            "Each user's weights should sum to one over the interests.",
            lambda case, r: torch.allclose(r[1].sum(1), torch.ones(len(r[1]), dtype=r[1].dtype), atol=1e-4),
        ),
        Property("An absent interest should weigh 0.", lambda case, r: not bool(r[1][~case["interest_mask"]].any())),
        Property(
            "A better score should never get a smaller weight.",
            lambda case, r: _keeps_order(case, r[1]),
        ),
    ),
    mistakes=(
        Mistake(
            "This is the printed power, (4.5). A negative score has no power 2.5, and one NaN spreads to every "
            "parameter. Use p times the score, (4.6).",
            _weighted(lambda s, p, m: _soft(s**p, m)),
        ),
        Mistake(
            "This is the printed power, (4.5), at p = ∞ too: a negative score has no power 2.5, and infinities have no "
            "softmax. Use p times the score, (4.6), and a branch for p = ∞.",
            _weighted(lambda s, p, m: _soft(s**p, m), branch=False),
        ),
        Mistake(
            "This is the signed power sign(s)|s|^p. It is defined everywhere, but at p = 0 it is not the average, and "
            "scores below 1 in size drown as p grows. Use p times the score, (4.6).",
            _weighted(lambda s, p, m: _soft(s.sign() * s.abs() ** p, m)),
        ),
        Mistake(
            "This is the power of the score's size, |s|^p: the interest that dislikes the target most gets the weight "
            "of a friend.",
            _weighted(lambda s, p, m: _soft(s.abs() ** p, m)),
        ),
        Mistake(
            "Negative scores were set to 0 before the power, so all that dislike the target count alike. (4.6) "
            "multiplies by p and keeps every score's order.",
            _weighted(lambda s, p, m: _soft(s.clamp(min=0) ** p, m)),
        ),
        Mistake(
            "p = ∞ was multiplied in: ∞ times a score is ±∞, and a softmax of infinities is NaN. It needs a branch of "
            "its own: weight 1 for the best interest.",
            _weighted(lambda s, p, m: _soft(p * s, m), branch=False),
        ),
        Mistake(
            "The mask's -∞ was multiplied by p, and at p = 0 that is 0 times ∞: NaN. Multiply first, mask after.",
            _weighted(lambda s, p, m: (p * s.masked_fill(~m, -torch.inf)).softmax(1)),
        ),
        Mistake(
            "At p = 0 the mask is gone: 0 times -1e9 is 0, so absent interests get a full share. Multiply by p first, "
            "mask after.",
            _weighted(lambda s, p, m: (p * s.masked_fill(~m, -1e9)).softmax(1)),
        ),
        Mistake(
            "The scores are divided by p. p is an inverse temperature: the larger it is, the sharper the choice, so it "
            "multiplies.",
            _weighted(lambda s, p, m: _soft(s / p, m)),
        ),
        Mistake(
            "The power has no effect: the weights are those of p = 1 (at ∞ of the best alone).",
            _weighted(lambda s, p, m: _soft(s, m)),
        ),
        Mistake(
            "The power has no effect, not even at ∞: the weights are those of p = 1.",
            _weighted(lambda s, p, m: _soft(s, m), branch=False),
        ),
        Mistake(
            "The best interest takes all at every p. That is p = ∞; below it every interest gets a share.",
            _weighted(lambda s, p, m: _hard(s, m), branch=False),
        ),
        Mistake(
            "Every interest weighs the same at every p: that is p = 0. The target should choose.",
            _weighted(lambda s, p, m: _soft(0 * s, m)),
        ),
        Mistake(
            "Your softmax runs over the users (dim 0): it should run over each user's own interests.",
            _weighted(lambda s, p, m: (p * s).masked_fill(~m, -torch.inf).softmax(0)),
        ),
        Mistake(
            "The interest mask is not used: absent interests take weight.",
            without(attend, interest_mask=torch.ones_like),
        ),
        Mistake(
            "Scores of absent interests were set to 0. That is no mask: a score of 0 still gets weight, more than a "
            "negative one. It has to be -∞.",
            _weighted(lambda s, p, m: (p * s * m).softmax(1)),
        ),
        Mistake(
            "The mask comes after the softmax: real interests share what absent ones left over, and the weights no "
            "longer sum to one.",
            _weighted(lambda s, p, m: (p * s).softmax(1) * m),
        ),
        Mistake(
            "At p = ∞ the mask is not used: an absent interest can be the best.",
            lambda interests, target, power, interest_mask: attend(
                interests, target, power, torch.ones_like(interest_mask) if power == math.inf else interest_mask
            ),
        ),
        Mistake(
            "Below p = ∞ the mask is not used: absent interests take weight.",
            lambda interests, target, power, interest_mask: attend(
                interests, target, power, interest_mask if power == math.inf else torch.ones_like(interest_mask)
            ),
        ),
        Mistake(
            "The interest mask is turned round: absent interests weigh and real ones don't.",
            without(attend, interest_mask=torch.logical_not),
        ),
        Mistake(
            "The sign is turned: the interest that fits the target least gets the most.",
            _weighted(lambda s, p, m: _hard(-s, m) if p == math.inf else _soft(-p * s, m), branch=False),
        ),
        Mistake(
            "These are sigmoids: each weight ignores the other interests, and their sum is not one.",
            _weighted(lambda s, p, m: (p * s).sigmoid() * m),
        ),
        Mistake(
            "The scores are divided by √D, as in a Transformer. (4.6) doesn't: p alone sets the scale.",
            _by_root,
        ),
        Mistake("The scores are cosines; (4.6) takes inner products.", _cosines),
        Mistake(
            "The target is not used: the weights come from each interest's own length, so the label chooses nothing.",
            _own_length,
        ),
        Mistake("Every user gets the first user's target.", first_users(attend, "target")),
        Mistake(
            "The weights are right, but the user is the plain sum of the interests, absent ones too. Each has to be "
            "multiplied by its weight.",
            _user(lambda v, w, t: v.sum(1)),
        ),
        Mistake(
            "The weights are right, but the user is the plain average of the interests: the weights are not used.",
            _user(lambda v, w, t: v.mean(1)),
        ),
        Mistake(
            "The weights are right, but the user is interest 0 whatever they are.",
            _user(lambda v, w, t: v[:, 0]),
        ),
        Mistake(
            "The user is the interest with the largest weight alone. Every interest takes part by its weight.",
            _user(lambda v, w, t: v.take_along_dim(w.argmax(1)[:, None, None], 1)[:, 0]),
        ),
        Mistake(
            "The weighted sum is divided by K once more. The weights sum to one already.",
            _user(lambda v, w, t: (w[:, :, None] * v).mean(1)),
        ),
        Mistake(
            "The weights are right, but they were multiplied with the target: the user should be made of interests.",
            _user(lambda v, w, t: w.sum(1, keepdim=True) * t),
        ),
    ),
)  # fmt: skip


def _keeps_order(case: Case, weights: Tensor) -> bool:
    """Whether weights rise with the scores of the interests that exist."""
    scores = (case["interests"] @ case["target"][:, :, None])[:, :, 0]
    for s, w, real in zip(scores, weights, case["interest_mask"], strict=True):
        in_order = w[real][s[real].argsort()]
        if not bool((in_order.diff() >= -1e-6).all()):
            return False
    return True


# ---- training rules ----


def score_candidates(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
    absent = ~interest_mask[:, :, None]
    scores = (interests @ candidates.T).masked_fill(absent, -torch.inf)
    if rule == "target_picks":
        fit = (interests @ target[:, :, None]).masked_fill(absent, -torch.inf)
        return scores.take_along_dim(fit.argmax(dim=1, keepdim=True), dim=1)[:, 0]
    if rule == "max":
        return scores.amax(dim=1)
    return scores.logsumexp(dim=1) - interest_mask.sum(dim=1, keepdim=True).log()


_RULES = ("target_picks", "max", "logsumexp")


def _candidate_cases() -> list[Case]:
    cases = []
    for rule in _RULES:
        for seed, (B, K, D, M) in enumerate(((3, 4, 5, 6), (5, 3, 2, 4))):
            v, mask = _interests(seed + 40, B, K, D)
            target, candidates = (torch.randn(rows, D, generator=source(seed + 50 + rows)) for rows in (B, M))
            cases.append(dict(interests=v, target=target, candidates=candidates, rule=rule, interest_mask=mask))
    return cases


def _ruled(**other: Function) -> Function:
    """Training scores with one rule done otherwise."""

    def wrong(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
        do = other.get(rule, score_candidates)
        made: Tensor = do(
            interests=interests, target=target, candidates=candidates, rule=rule, interest_mask=interest_mask
        )
        return made

    return wrong


def _as(rule: str) -> Function:
    return without(score_candidates, rule=lambda _: rule)


def _all_real(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
    return score_candidates(interests, target, candidates, rule, torch.ones_like(interest_mask))


def _picks_with_absent(
    interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor
) -> Tensor:
    winner = (interests @ target[:, :, None]).argmax(1, keepdim=True)
    return (interests @ candidates.T).take_along_dim(winner, 1)[:, 0]


def _scores_of(interests: Tensor, candidates: Tensor, interest_mask: Tensor, masked: float) -> Tensor:
    return (interests @ candidates.T).masked_fill(~interest_mask[:, :, None], masked)


def _log_sum(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
    return _scores_of(interests, candidates, interest_mask, -torch.inf).logsumexp(1)


def _log_mean_of_all(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
    return _log_sum(interests, target, candidates, rule, interest_mask) - math.log(interests.shape[1])


def _less_number(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
    return _log_sum(interests, target, candidates, rule, interest_mask) - interest_mask.sum(1, keepdim=True)


def _plus_log(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
    return _log_sum(interests, target, candidates, rule, interest_mask) + interest_mask.sum(1, keepdim=True).log()


def _mean_score(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
    scores = _scores_of(interests, candidates, interest_mask, 0.0)
    return scores.sum(1) / interest_mask.sum(1, keepdim=True)


def _sum_of_exponentials(
    interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor
) -> Tensor:
    return _log_sum(interests, target, candidates, rule, interest_mask).exp()


def _mixture(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
    return attend(interests, target, 1.0, interest_mask)[0] @ candidates.T


def _zero_absent(interests: Tensor, target: Tensor, candidates: Tensor, rule: str, interest_mask: Tensor) -> Tensor:
    return _all_real(interests * interest_mask[:, :, None], target, candidates, rule, interest_mask)


CANDIDATES = Coding(
    name="mind.candidate_scores",
    title="Which interest scores a candidate?",
    task=(
        "Score M candidates for each user as training does, under three rules: `\"target_picks\"`, the interest that "
        "scores the *target* best scores all candidates; `\"max\"` and `\"logsumexp\"`, both of "
        "[(4.11)](#eq-mind-rules). Absent interests take no part, and K in the logarithm is the number of interests "
        "that the user has."
    ),
    stub='''def score_candidates(interests, target, candidates, rule, interest_mask):
    """interests (B, K, D), target (B, D), candidates (M, D), interest_mask (B, K) -> scores (B, M)

    rule is "target_picks", "max" or "logsumexp".
    """
    ...
''',
    solve=score_candidates,
    cases=_candidate_cases,
    inputs={"interests": "B K D", "target": "B D", "candidates": "M D", "rule": "", "interest_mask": "B K"},
    returns={"scores": "B M"},
    hints=(
        "All three start from the scores of every interest, (B, K, M), with -∞ for absent interests. They differ in "
        "how K goes away.",
        "For target_picks find each user's interest with the best score for the target, (B, 1), and keep its row of "
        "the scores. The other two don't look at the target.",
        "scores.amax(1); scores.logsumexp(1) - interest_mask.sum(1, keepdim=True).log(); and for target_picks "
        "scores.take_along_dim(winner[:, None, None], 1)[:, 0].",
    ),
    properties=(
        Property(
            "Under target_picks and max each score should be the inner product of the candidate with one of the "
            "user's interests.",
            lambda case, s: case["rule"] == "logsumexp" or _from_one_interest(case, s, case["candidates"]),
        ),
    ),
    mistakes=(
        Mistake(
            "Under target_picks every candidate takes its own best interest. That is the rule max: here the interest "
            "that the target chose scores all candidates.",
            _ruled(target_picks=_as("max")),
        ),
        Mistake(
            "Under max the interest that the target chose scores all candidates. That is target_picks: here each "
            "candidate takes its own best interest, as in serving.",
            _ruled(max=_as("target_picks")),
        ),
        Mistake("The rule has no effect: the target picks under all three.", _as("target_picks")),
        Mistake("The rule has no effect: max is taken under all three.", _as("max")),
        Mistake(
            "Under logsumexp the log of the number of interests is not subtracted: a user with more interests "
            "scores higher on everything.",
            _ruled(logsumexp=_log_sum),
        ),
        Mistake(
            "Under logsumexp you divide by all K places. The mean runs over the interests that the user has.",
            _ruled(logsumexp=_log_mean_of_all),
        ),
        Mistake(
            "Under logsumexp the number of interests is subtracted itself, not its logarithm.",
            _ruled(logsumexp=_less_number),
        ),
        Mistake(
            "Under logsumexp the log of the number of interests is added: log of a mean is log of the sum minus it.",
            _ruled(logsumexp=_plus_log),
        ),
        Mistake(
            "Under logsumexp you return the sum of the exponentials: the logarithm is missing.",
            _ruled(logsumexp=_sum_of_exponentials),
        ),
        Mistake(
            "Under logsumexp you average the scores: that is the score of the mean interest, one vector. The mean is "
            "of the exponentials.",
            _ruled(logsumexp=_mean_score),
        ),
        Mistake(
            "Under target_picks the target mixes the interests by a softmax, as at p = 1. It should pick the best one.",
            _ruled(target_picks=_mixture),
        ),
        Mistake("The interest mask is not used: absent interests score candidates.", _all_real),
        Mistake(
            "Under target_picks the target may choose an absent interest: mask its scores for the target too.",
            _ruled(target_picks=_picks_with_absent),
        ),
        Mistake(
            "Absent interests score 0 in place of -∞: they win wherever the real ones are negative.",
            _zero_absent,
        ),
        Mistake(
            "Under max absent interests score 0 in place of -∞: they win wherever the real ones are negative.",
            _ruled(max=_zero_absent),
        ),
        Mistake("Every user gets the first user's target.", first_users(score_candidates, "target")),
        Mistake("Every user gets the first user's interests.", first_users(score_candidates, "interests")),
        Mistake(
            "Under target_picks the interest that scores the target worst is chosen.",
            _ruled(target_picks=without(score_candidates, target=torch.neg)),
        ),
        Mistake(
            "The interest mask is turned round: absent interests score and real ones don't.",
            without(score_candidates, interest_mask=torch.logical_not),
        ),
    ),
)  # fmt: skip


# ---- the sampled loss ----


def sampled_losses(positive: Tensor, negatives: Tensor, target: Tensor, sampled: Tensor, log_q: Tensor) -> Tensor:
    positive = positive - log_q[target]
    negatives = negatives - log_q[sampled]
    negatives = negatives.masked_fill(sampled[None, :] == target[:, None], -torch.inf)
    everything = torch.cat([positive[:, None], negatives], dim=1)
    return everything.logsumexp(dim=1) - positive


def _sampled_cases() -> list[Case]:
    cases = []
    for seed, (B, S, N, scale) in enumerate(((3, 7, 12, 1.0), (4, 6, 9, 60.0))):  # the second: exp overflows
        g = source(seed + 60)
        scores = scale * torch.randn(B, N, generator=g)
        log_q = torch.randn(N, generator=g)
        log_q[0] = -20.0  # padding is never drawn
        target = torch.randint(1, N, (B,), generator=g)
        sampled = torch.randint(1, N, (S,), generator=g)
        sampled[2], sampled[5] = target[0], target[1]
        if scale > 1:
            scores[torch.arange(B), target] += 2 * scale
        positive = scores.gather(1, target[:, None])[:, 0]
        cases.append(dict(positive=positive, negatives=scores[:, sampled], target=target, sampled=sampled, log_q=log_q))
    return cases


def _corrected(
    correct: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
    hits: str = "own",
    loss: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Function:
    """The loss with another correction (from positive, negatives, their log q and q), hits or last step."""

    def wrong(positive: Tensor, negatives: Tensor, target: Tensor, sampled: Tensor, log_q: Tensor) -> Tensor:
        if correct is None:
            positive, negatives = positive - log_q[target], negatives - log_q[sampled]
        else:
            positive, negatives = correct(positive, negatives, target, sampled, log_q)
        same = sampled[None, :] == target[:, None]
        if hits == "anyone":
            same = same.any(0, keepdim=True)
        if hits == "all":
            same = same.any(1, keepdim=True)
        if hits == "kept":
            same = torch.zeros_like(same)
        negatives = negatives.masked_fill(same, 0.0 if hits == "zero" else -torch.inf)
        if loss is not None:
            return loss(positive, negatives)
        return torch.cat([positive[:, None], negatives], 1).logsumexp(1) - positive

    return wrong


SAMPLED = Coding(
    name="mind.sampled_softmax",
    title="Sampled softmax, corrected",
    task=(
        "Compute the sampled loss [(4.9)](#eq-mind-sampled) of each user. `log_q` has one entry for each id. A "
        "sampled item that is the user's own target takes no part *for her*. Scores can be in the hundreds, so "
        "exponentials alone overflow."
    ),
    stub='''def sampled_losses(positive, negatives, target, sampled, log_q):
    """positive (B,), negatives (B, S) scores; target (B,), sampled (S,) ids; log_q (N,) -> losses (B,)"""
    ...
''',
    solve=sampled_losses,
    cases=_sampled_cases,
    inputs={"positive": "B", "negatives": "B S", "target": "B", "sampled": "S", "log_q": "N"},
    returns={"losses": "B"},
    hints=(
        "-log(exp(a) / sum of exp) is log(sum of exp) - a. torch has logsumexp, which does not overflow.",
        "log_q[target] is (B,), log_q[sampled] is (S,). Both kinds of scores are lowered before anything else.",
        "sampled[None, :] == target[:, None] is (B, S): fill these with -∞. Then torch.cat of positive[:, None] and "
        "negatives, and logsumexp over dim 1.",
    ),
    properties=(
        Property(
            "No loss should be negative: the target is one of the items in the denominator.",
            lambda case, losses: bool((losses >= -1e-4).all()),
        ),
    ),
    mistakes=(
        Mistake(
            "The log q correction is missing, or one number for all of a user's scores, which cancels. Each item has "
            "its own: without it, items that are drawn often are pushed down too hard.",
            without(sampled_losses, log_q=torch.zeros_like),
        ),
        Mistake(
            "log q is added. Subtract it: an item that is drawn often stands for less of itself.",
            without(sampled_losses, log_q=torch.neg),
        ),
        Mistake(
            "Only the negatives are corrected. The target's score is lowered by its own log q too.",
            _corrected(lambda p, n, t, s, q: (p, n - q[s])),
        ),
        Mistake(
            "Only the target is corrected. Each negative's score is lowered by its own log q too.",
            _corrected(lambda p, n, t, s, q: (p - q[t], n)),
        ),
        Mistake(
            "log q is added to the target's score. It is subtracted there too, as from the negatives.",
            _corrected(lambda p, n, t, s, q: (p + q[t], n - q[s])),
        ),
        Mistake(
            "log q is added to the negatives' scores. It is subtracted there too, as from the target's.",
            _corrected(lambda p, n, t, s, q: (p - q[t], n + q[s])),
        ),
        Mistake(
            "q itself is subtracted, not its logarithm.",
            without(sampled_losses, log_q=torch.exp),
        ),
        Mistake(
            "The scores are divided by q. It is their exponential that is divided: subtract log q from the score.",
            _corrected(lambda p, n, t, s, q: (p / q[t].exp(), n / q[s].exp())),
        ),
        Mistake(
            "log_q is read by place in the batch, not by id: use log_q[target] and log_q[sampled].",
            _corrected(lambda p, n, t, s, q: (p - q[: len(p)], n - q[: n.shape[1]])),
        ),
        Mistake(
            "log_q is read one id too early (id - 1). It has an entry for padding: item i stands at i.",
            without(sampled_losses, log_q=lambda q: q.roll(1)),
        ),
        Mistake(
            "A sampled item that is the target stays among the negatives: the target competes with itself.",
            _corrected(hits="kept"),
        ),
        Mistake(
            "A sampled item that is the target gets the score 0. That still takes part: exp(0) = 1. It has to be -∞.",
            _corrected(hits="zero"),
        ),
        Mistake(
            "A sampled item that is anyone's target is left out for all. It is left out only for the user whose "
            "target it is.",
            _corrected(hits="anyone"),
        ),
        Mistake(
            "Where a user's target was sampled, all her negatives are left out; it should be that one only.",
            _corrected(hits="all"),
        ),
        Mistake(
            "This is the loss of the first sampled item, as if it were the target: the wrong class in a cross entropy?",
            _corrected(loss=lambda p, n: torch.cat([p[:, None], n], 1).logsumexp(1) - n[:, 0]),
        ),
        Mistake(
            "The target is missing in the denominator: it has to be one of the items it is compared with.",
            _corrected(loss=lambda p, n: n.logsumexp(1) - p),
        ),
        Mistake(
            "The sign is turned: this is the log-probability. The loss is minus that.",
            after(sampled_losses, torch.neg),
        ),
        Mistake(
            "This is the probability of the target; the loss is minus its logarithm.",
            after(sampled_losses, lambda x: (-x).exp()),
        ),
        Mistake(
            "The exponentials overflow: exp(100) is beyond 32-bit numbers. logsumexp subtracts the largest first.",
            _corrected(loss=lambda p, n: -(p.exp() / (p.exp() + n.exp().sum(1))).log()),
        ),
        Mistake(
            "The exponentials overflow: exp(100) is beyond 32-bit numbers, and so is their sum before the logarithm. "
            "Use logsumexp.",
            _corrected(loss=lambda p, n: (p.exp() + n.exp().sum(1)).log() - p),
        ),
        Mistake(
            "This is a separate yes-or-no loss for each item (sigmoids). In a softmax the items compete for one "
            "probability.",
            _corrected(loss=lambda p, n: -logsigmoid(p) - logsigmoid(-n).sum(1)),
        ),
        Mistake(
            "The target's score is subtracted before its correction: take the same lowered score above and below the "
            "fraction's line.",
            lambda positive, negatives, target, sampled, log_q: (
                sampled_losses(positive, negatives, target, sampled, log_q) - log_q[target]
            ),
        ),
        Mistake(
            "This is the log of the denominator alone: the target's score is not subtracted from it.",
            _corrected(loss=lambda p, n: torch.cat([p[:, None], n], 1).logsumexp(1)),
        ),
        Mistake(
            "The exponentials are averaged over the items. (4.9) sums them.",
            _corrected(
                loss=lambda p, n: torch.cat([p[:, None], n], 1).logsumexp(1) - math.log(1 + n.shape[1]) - p
            ),
        ),
    ),
)  # fmt: skip


# ---- serving, with a fault in it ----


def serve(interests: Tensor, items: Tensor, n: int, seen: Tensor) -> Tensor:
    scores = (interests @ items.T).amax(dim=1)
    scores = scores.scatter(1, seen, -torch.inf)
    scores[:, 0] = -torch.inf
    return scores.sort(dim=1, descending=True, stable=True).indices[:, :n]


def _serve_cases() -> list[Case]:
    cases = []
    for seed, (B, K, D, N, M, n) in enumerate(((3, 4, 5, 12, 2, 7), (5, 3, 2, 14, 4, 8))):
        g = source(seed + 70)
        v = torch.randn(B, K, D, generator=g)
        items = torch.randn(N, D, generator=g)
        items[0] = 3 * v[0, 1]  # padding would score high
        items[3] = items[N - 1] = items[6]  # equal scores
        items[7:9] = -2 * v.mean(1)[:2]  # dislikes that are large in size
        seen = torch.stack([torch.randperm(N - 1, generator=g)[:M] + 1 for _ in range(B)])
        seen[-1, 1:] = 0  # the last user has seen one item
        cases.append(dict(interests=v, items=items, n=n, seen=seen))
    return cases


def _served(
    score: Callable[[Tensor, Tensor], Tensor] = lambda v, e: (v @ e.T).amax(1),
    exclude: str = "seen",
    order: str = "best",
) -> Function:
    """Serving with another score, exclusion or order."""

    def wrong(interests: Tensor, items: Tensor, n: int, seen: Tensor) -> Tensor:
        scores = score(interests, items)
        out = 0.0 if exclude == "zero" else -torch.inf
        if exclude == "anyone's":
            scores[:, seen.flatten()] = out
        elif exclude == "first":
            scores = scores.scatter(1, seen[:, :1], out)
        elif exclude != "nothing":
            scores = scores.scatter(1, seen, out)
        if exclude != "not padding":
            scores[:, 0] = out
        if order == "worst":
            return scores.masked_fill(scores.isinf(), torch.inf).sort(dim=1, stable=True).indices[:, :n]
        if order == "ascending":
            return scores.sort(dim=1, stable=True).indices[:, :n]
        if order == "higher id":
            return scores.shape[1] - 1 - scores.flip(1).sort(dim=1, descending=True, stable=True).indices[:, :n]
        if order == "by id":
            return scores.sort(dim=1, descending=True, stable=True).indices[:, :n].sort(1).values
        if order == "places":
            return scores[:, 1:].sort(dim=1, descending=True, stable=True).indices[:, :n]
        return scores.sort(dim=1, descending=True, stable=True).indices[:, :n]

    return wrong


def _in_turn(interests: Tensor, items: Tensor, n: int, seen: Tensor) -> Tensor:
    """One item of each interest's list in turn."""
    users = []
    for v, own in zip(interests, seen, strict=True):
        scores = v @ items.T
        scores[:, own] = scores[:, 0] = -torch.inf
        lists = scores.sort(dim=1, descending=True, stable=True).indices
        merged = dict.fromkeys(i for place in range(len(items)) for i in lists[:, place].tolist())
        users.append(list(merged)[:n])
    return torch.tensor(users)


def _lower_id_first(case: Case, lists: Tensor) -> bool:
    scores = (case["interests"] @ case["items"].T).amax(1).gather(1, lists)
    return bool((lists.diff() > 0)[scores.diff().abs() < 1e-6].all())


SERVE = Coding(
    name="mind.serve",
    title="Spot the bug: an evaluation that knew one interest",
    task=(
        "A public evaluator (FunRec, `evaluation/evaluator.py` 622–631, 13509d6) looped over the wrong axis and ranked "
        "by one interest of K. The code below does the same: it runs, returns n items that the user has not seen, and "
        "the recall it leads to is poor. Mend it, so that it serves by [(4.10)](#eq-mind-score). Of equal scores the "
        "lower id comes first; that part is right already."
    ),
    stub='''def serve(interests, items, n, seen):
    """interests (B, K, D), items (N, D) with padding in row 0, seen (B, M) ids, 0 for nothing -> items (B, n)"""
    scores = torch.stack([user_scores[0] for user_scores in interests @ items.T])
    scores = scores.scatter(1, seen, -torch.inf)
    scores[:, 0] = -torch.inf
    return scores.sort(dim=1, descending=True, stable=True).indices[:, :n]
''',
    solve=serve,
    cases=_serve_cases,
    inputs={"interests": "B K D", "items": "N D", "n": "", "seen": "B M"},
    returns={"items": "B n"},
    differentiable=False,
    mend=True,
    hints=(
        "Swap two interests of a user. Should her list change? Does it?",
        "interests @ items.T is (B, K, N). What does [0] take out of one user's (K, N)?",
        "Each item keeps the best of its K scores: a maximum over dimension 1 of (B, K, N).",
    ),
    properties=(
        Property(
            "An item that the user has seen should not be in her list.",
            lambda case, r: not any(
                set(a.tolist()) & set(b[b > 0].tolist()) for a, b in zip(r, case["seen"], strict=True)
            ),
        ),
        Property("Item 0 is padding and should never be in a list.", lambda case, r: bool((r != 0).all())),
        Property(
            "No item should stand in a list twice.",
            lambda case, r: all(len(set(row)) == len(row) for row in r.tolist()),
        ),
        Property(
            "Of equal scores the lower id should come first (topk leaves their order open).",
            _lower_id_first,
        ),
    ),
    mistakes=(
        Mistake(
            "Still interest 0 alone is searched: whatever the other K - 1 would recommend is never found.",
            _served(lambda v, e: v[:, 0] @ e.T),
        ),
        Mistake(
            "Only the last interest is searched: a loop that overwrites its scores, perhaps.",
            _served(lambda v, e: v[:, -1] @ e.T),
        ),
        Mistake(
            "The scores are averaged (or summed) over the interests. That is the list of one vector, the mean.",
            _served(lambda v, e: (v @ e.T).mean(1)),
        ),
        Mistake(
            "You take the largest number of each dimension over the interests and score after. Score with every "
            "interest, then take the best score.",
            _served(lambda v, e: v.amax(1) @ e.T),
        ),
        Mistake(
            "You keep each item's worst interest (min); it should be the best.",
            _served(lambda v, e: (v @ e.T).amin(1)),
        ),
        Mistake(
            "Items are ranked by the size of the score: a strong dislike leads the list.",
            _served(lambda v, e: (v @ e.T).abs().amax(1)),
        ),
        Mistake(
            "Items are ranked by the smooth rule, (4.11) on the right. It ranks nearly as the maximum does, not "
            "exactly.",
            _served(lambda v, e: (v @ e.T).logsumexp(1)),
        ),
        Mistake(
            "Items are ranked by cosine. The score is the inner product: an item's length counts.",
            _served(lambda v, e: (v @ normalize(e, dim=1).T).amax(1)),
        ),
        Mistake(
            "The interests take turns, one item each. The lists are merged by score: a strong interest may fill more "
            "places.",
            _in_turn,
        ),
        Mistake(
            "Each user is scored by the batch's best interest, whoever has it.",
            _served(lambda v, e: (v @ e.T).flatten(0, 1).amax(0).repeat(len(v), 1)),
        ),
        Mistake("Items that the user has seen are still in the list.", _served(exclude="nothing")),
        Mistake(
            "What anyone in the batch has seen is left out for all. Each user has her own.",
            _served(exclude="anyone's"),
        ),
        Mistake(
            "Seen items and padding get the score 0. That beats every negative score; it has to be -∞.",
            _served(exclude="zero"),
        ),
        Mistake("Only the first seen item is left out.", _served(exclude="first")),
        Mistake("Item 0 is padding, and it is recommended where nothing excludes it.", _served(exclude="not padding")),
        Mistake(
            "The list is sorted from the lowest score up, so what was excluded leads it.",
            _served(order="ascending"),
        ),
        Mistake("The worst n items are returned: sort from the highest score down.", _served(order="worst")),
        Mistake("Of equal scores the higher id comes first; it should be the lower.", _served(order="higher id")),
        Mistake(
            "The right n items, but in the order of their ids. The best comes first: its rank counts in NDCG.",
            _served(order="by id"),
        ),
        Mistake(
            "Every id is one too small: cutting off column 0 shifts the places, so add 1.",
            _served(order="places"),
        ),
    ),
)  # fmt: skip


# ---- a training step, shuffled ----

STEP = Parsons(
    name="mind.training_step",
    title="One training step, shuffled",
    task=(
        "These lines are one step of training under the rule max, shuffled, and one belongs nowhere. `draw` gives ids "
        "of sampled items. The batch before has left its gradients behind. Put the others in order."
    ),
    lines={
        "A": "loss = sampled_losses(positive, negatives, target, sampled, log_q).mean()",
        "B": "own, others = model.item_vectors(target), model.item_vectors(sampled)",
        "C": "optimizer.step()",
        "D": "sampled = draw(q, 256)",
        "E": "loss.backward()",
        "F": "negatives = (v @ others.T).amax(1)",
        "G": "v = v[torch.arange(len(v)), (v @ own[:, :, None])[:, :, 0].argmax(1)]",
        "H": "optimizer.zero_grad()",
        "I": "v = model.interests(history).vectors",
        "J": "positive = (v @ own[:, :, None])[:, :, 0].amax(1)",
    },
    order="IDBJFAHEC",
    rules=(
        ("D", "B", "the sampled items must be drawn before their vectors are looked up."),
        ("I", "J", "the target is scored by the interests."),
        ("B", "J", "the target is scored by its vector, own."),
        ("I", "F", "the sampled items are scored by the interests."),
        ("B", "F", "the sampled items are scored by their vectors, others."),
        ("J", "A", "the loss needs the target's score."),
        ("F", "A", "the loss needs the scores of the sampled items."),
        ("A", "E", "there is nothing to go back from before the loss."),
        ("H", "E", "backward adds to what is there: the last batch's gradients must be cleared first."),
        ("E", "C", "the step uses the gradients."),
    ),
    spare={
        "G": "it keeps the one interest that the target picks, and then there is no maximum left to train. That is "
        "the other rule, which serving can't follow."
    },
    hints=(
        "A line can stand only after all that it names has been made.",
        "Interests, sampled ids and their vectors come first, then two kinds of scores, then the loss.",
        "It ends with A, H, E, C, and G is the line to leave out.",
    ),
)

RESEARCH = Research(
    name="mind.pays",
    title="A research question: does K > 1 pay in your data?",
    task=(
        "Several vectors won in three planted worlds of six, the crowded ones, and not on films. Take data you know, "
        "and design the experiment that decides whether your system should keep more than one vector a user. Write "
        "down, before you run it, which result would make you stay with one."
    ),
    hints=(
        "Which rivals must K vectors beat? The chapter has a tuned single vector, a longer one, and counts.",
        "Is what you train what you serve? And are the K vectors different at all? Measure their cosine.",
        "Averages hide who gains: split the users, for example by how many genres their history spans.",
    ),
    rubric=(
        (
            2,
            "compares with a single vector tuned by as many trials, with one K times as long, and with counts or "
            "popularity",
        ),
        (2, "trains by the rule that is served, or measures what the difference costs"),
        (
            2,
            "splits by time, leaves out what was seen, ranks the whole catalogue, and gives paired differences with "
            "an interval over at least five seeds",
        ),
        (2, "looks inside: cosine between interests, recall of one alone, who gains by breadth of history"),
        (1, "counts the price: memory of users and items, K searches a request"),
        (1, "states before the run the result that would decide for one vector"),
    ),
)

EXERCISES = (BEST, ATTEND, CANDIDATES, SAMPLED, SERVE, STEP, RESEARCH)

"""From interests to a loss: which interest speaks for the user (the training rule), and against what it is compared."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mi_lite.checks import check, check_mask, choose
from mi_lite.mind import label_aware_attention

RULES = ("target_picks", "label_aware", "max", "logsumexp")


def candidate_scores(
    interests: Tensor,
    target: Tensor,
    candidates: Tensor,
    *,
    rule: str,
    power: float = 1.0,
    interest_mask: Tensor | None = None,
) -> Tensor:
    r"""Scores ``(B, M)`` of M candidates for B users, as training sees them (the same candidates, or each user's own).

    * ``"target_picks"``: the interest that scores the *target* best scores all candidates (ComiRec, section 3.3; MIND
      with p → ∞). Serving can't do this: it does not know the target.
    * ``"label_aware"``: the target mixes the interests by `label_aware_attention` (MIND, section 3.4), and the mixture
      scores all candidates.
    * ``"max"``: every candidate is scored by its own best interest, which is what serving does.
    * ``"logsumexp"``: the smooth form of that, :math:`\log \frac{1}{K}\sum_k \exp(v_k^\top e_i)`.

    Args:
        interests: ``(B, K, D)``.
        target: ``(B, D)``, vectors of the items to predict.
        candidates: ``(M, D)`` shared by the users, or ``(B, M, D)``.
        rule: one of the names above.
        power: p of the label-aware rule.
        interest_mask: ``(B, K)`` boolean, True where the user has this interest.

    Raises:
        TypeError, ValueError: for wrong shapes or types, NaN, or an unknown rule.
    """
    size = check(interests, "B K D", "interests")
    check(target, "B D", "target", B=size["B"], D=size["D"])
    if candidates.dim() == 3:
        check(candidates, "B M D", "candidates", B=size["B"], D=size["D"])
    else:
        check(candidates, "M D", "candidates", D=size["D"])
    choose(rule, RULES, "rule")
    interest_mask = check_mask(interest_mask, batch=size["B"], length=size["K"], like=interests, name="interest_mask")
    if rule in ("target_picks", "label_aware"):
        p = math.inf if rule == "target_picks" else power
        user = label_aware_attention(interests, target, p, interest_mask).user
        return (user[:, None, :] @ candidates.mT)[:, 0] if candidates.dim() == 3 else user @ candidates.T
    scores = interests @ candidates.mT  # (B, K, M)
    if interest_mask is not None and not interest_mask.all():
        scores = scores.masked_fill(~interest_mask[:, :, None], -torch.inf)
    if rule == "max":
        return scores.amax(1)
    number = size["K"] if interest_mask is None else interest_mask.sum(1, keepdim=True)
    return scores.logsumexp(1) - torch.as_tensor(number, dtype=scores.dtype, device=scores.device).log()


def full_softmax(scores: Tensor, target: Tensor) -> Tensor:
    r"""Mean of :math:`-\log\frac{\exp s_{target}}{\sum_{i=1}^N \exp s_i}` over the whole catalogue (MIND, eq. 10–11).

    Args:
        scores: ``(B, N + 1)``; column 0 is padding and takes no part.
        target: ``(B,)`` item ids, 1 to N.

    Raises:
        TypeError, ValueError: for wrong shapes or types, or NaN.
    """
    check(scores, "B N+1", "scores")
    check(target, "B", "target", dtype="int", B=scores.shape[0])
    return torch.nn.functional.cross_entropy(scores[:, 1:], target - 1)


def sampled_softmax(
    positive: Tensor,
    negatives: Tensor,
    target: Tensor,
    sampled: Tensor,
    *,
    log_q: Tensor | None = None,
) -> Tensor:
    r"""Softmax against the target and S sampled items that the batch shares (Bengio and Senécal 2008).

    With ``log_q`` each score, the target's too, is first lowered by the logarithm of its item's expected number of
    draws, as TensorFlow's ``sampled_softmax_loss`` does. The loss is then least for the same scores as the full
    softmax, :math:`\log p(i|u)`, whatever the sampler. Without it the scores end at :math:`\log p(i|u) - \log q_i`:
    items that are drawn often are pushed down. Under a uniform sampler the correction changes nothing.
    A negative that happens to be the target (an accidental hit) takes no part.

    Args:
        positive: ``(B,)`` scores of the targets.
        negatives: ``(B, S)`` scores of the sampled items.
        target: ``(B,)`` ids of the targets.
        sampled: ``(S,)`` ids of the sampled items.
        log_q: ``(N + 1,)`` log expected number of draws of each item; None: no correction.

    Raises:
        TypeError, ValueError: for wrong shapes or types of the scores, or NaN.
    """
    check(negatives, "B S", "negatives")
    check(positive, "B", "positive", B=negatives.shape[0])
    if log_q is not None:
        positive = positive - log_q[target]
        negatives = negatives - log_q[sampled]
    negatives = negatives.masked_fill(sampled[None, :] == target[:, None], -torch.inf)
    scores = torch.cat([positive[:, None], negatives], dim=1)
    return (scores.logsumexp(1) - positive).mean()

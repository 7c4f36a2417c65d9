"""Contracts of chapter 4: MIND's layers, label-aware attention, the losses, serving."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from contracts import Chapter, close, contract, draw
from mi_lite import losses, retrieval
from mi_lite.mind import MIND, label_aware_attention
from mi_lite.models import SingleVector

CHAPTER = Chapter("04_mind")
IDS = torch.int64


def fill(parameter: Tensor | None, values: Tensor) -> None:
    assert parameter is not None
    with torch.no_grad():
        parameter.copy_(values)


# ---------------------------------------------------------------------------------------------- from a film to a vector


def packages_items(own: Tensor, features: Tensor, feature_vectors: Tensor) -> Tensor:
    model = SingleVector(len(own) - 1, own.shape[1], item_features=features.bool(), hidden=0).double()
    fill(model.items.weight, own)
    fill(model.feature_vectors, feature_vectors)
    return model.item_vectors().detach()


def summed_genres(own: Tensor, features: Tensor, feature_vectors: Tensor) -> Tensor:
    """Adds the genres up, so that a film with five of them is five times as loud."""
    return (own + features @ feature_vectors) / 2


@contract(
    "eq-mind-item",
    "A film's vector is half its own and half the mean of its genres' vectors: naming more genres makes it no "
    "louder, and padding stays zero.",
    package=packages_items,
    chapter=CHAPTER.item_vectors,
    wrong=summed_genres,
)
def item(item_vectors: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    own, genres = draw(4, 5), draw(3, 5, seed=1)
    own[0] = 0
    features = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 0, 1], [1, 1, 1]], dtype=torch.float64)
    e = item_vectors(own, features, genres)
    close(e[0], torch.zeros(5, dtype=e.dtype))
    for i, which in ((1, [0]), (2, [0, 2]), (3, [0, 1, 2])):
        close(e[i], (own[i] + sum(genres[c] for c in which) / len(which)) / 2, rtol=1e-6, atol=1e-6)
    alike = item_vectors(own, features, genres[:1].expand(3, -1))
    close(2 * alike[1:] - own[1:], genres[:1].expand(3, -1), rtol=1e-6, atol=1e-6)


def packages_profile(profile: Tensor, tables: list[Tensor]) -> Tensor:
    model = SingleVector(1, tables[0].shape[1], profile_sizes=tuple(len(table) for table in tables)).double()
    for field, table in zip(model.fields, tables, strict=True):
        fill(field.weight, table)
    found = model._profile_vectors(profile, len(profile))
    assert found is not None
    return found.detach()


def added_fields(profile: Tensor, tables: list[Tensor]) -> Tensor:
    """Adds the fields up instead of putting them side by side."""
    return torch.stack([table[profile[:, f]] for f, table in enumerate(tables)]).sum(0).repeat(1, len(tables))


@contract(
    "eq-mind-profile",
    "Each field of the profile fills its own D places, in order, with its code's row; another code there changes "
    "those alone.",
    package=packages_profile,
    chapter=CHAPTER.profile_vectors,
    wrong=added_fields,
)
def profile(vectors: Callable[[Tensor, list[Tensor]], Tensor]) -> None:
    tables = [draw(7, 4), draw(2, 4, seed=1), draw(5, 4, seed=2)]
    codes = torch.tensor([[6, 0, 1], [2, 1, 4]])
    found = vectors(codes, tables)
    assert found.shape == (2, 12)
    for b, row in enumerate(codes.tolist()):
        for f, code in enumerate(row):
            close(found[b, 4 * f : 4 * f + 4], tables[f][code])
    other = codes.clone()
    other[:, 1] = 1 - other[:, 1]
    changed = (vectors(other, tables) != found).any(0)
    assert changed.nonzero()[:, 0].tolist() == [4, 5, 6, 7]


# ----------------------------------------------------------------------------------------------------------- extraction


def routed(history: list[int], items: Tensor, bilinear: Tensor, start: Tensor, iterations: int = 3) -> Tensor:
    """Behaviour-to-interest routing of one user, letter by letter: (K, D)."""
    ids = [i for i in history if i]
    votes, logits = [bilinear @ items[i] for i in ids], [start[i].clone() for i in ids]
    for r in range(iterations):
        weights = [b.exp() / b.exp().sum() for b in logits]
        u = torch.zeros(start.shape[1], items.shape[1], dtype=items.dtype)
        for k in range(len(u)):
            z = sum((w[k] * vote for w, vote in zip(weights, votes, strict=True)), torch.zeros_like(u[k]))
            u[k] = z.norm() / (1 + z.norm() ** 2) * z
        if r < iterations - 1:
            logits = [b + u @ vote for b, vote in zip(logits, votes, strict=True)]
    return u


def packages_interests(
    history: Tensor, items: Tensor, bilinear: Tensor, start: Tensor, about: Tensor, *layers: Tensor
) -> Tensor:
    fields = (len(history),) if layers else ()
    hidden = len(layers[1]) if layers else 0
    model = MIND(len(items) - 1, items.shape[1], start.shape[1], profile_sizes=fields, hidden=hidden).double()
    fill(model.items.weight, items)
    fill(model.bilinear, bilinear)
    fill(model.start_logits, start)
    if layers:
        fill(model.fields[0].weight, about)
        assert isinstance(model.project, nn.Sequential)
        for parameter, values in zip(model.project.parameters(), layers, strict=True):
            fill(parameter, values)
    return model.interests(history, profile=torch.arange(len(history))[:, None]).vectors.detach()


def through(dim: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Layers that change nothing: x is ReLU(x) less ReLU(−x)."""
    eye = torch.eye(dim, dtype=torch.float64)
    return (
        torch.cat([eye, -eye]),
        torch.zeros(2 * dim, dtype=eye.dtype),
        torch.cat([eye, -eye], 1),
        torch.zeros(dim, dtype=eye.dtype),
    )


def chapters_capsules(history: Tensor, items: Tensor, bilinear: Tensor, start: Tensor) -> Tensor:
    nothing = torch.empty(len(history), 0, dtype=items.dtype)
    return CHAPTER.interests(history, items, bilinear, start, nothing, *through(items.shape[1]))


def equal_starts(history: Tensor, items: Tensor, bilinear: Tensor, start: Tensor) -> Tensor:
    """Starts all logits at zero, so that the capsules are copies of each other."""
    return torch.stack([routed(ids, items, bilinear, torch.zeros_like(start)) for ids in history.tolist()])


HISTORY = torch.tensor([[3, 1, 4, 5], [2, 6, 0, 0], [5, 5, 1, 0]])
ITEMS, BILINEAR, START = draw(7, 4), draw(4, 4, seed=1), draw(7, 3, seed=2)
ITEMS[0] = 0


@contract(
    "eq-mind-capsules",
    "A user's capsules are three rounds of behaviour-to-interest routing over the films of the history, from the "
    "films' own starting logits: more padding changes nothing.",
    package=lambda history, items, bilinear, start: packages_interests(history, items, bilinear, start, items),
    chapter=chapters_capsules,
    wrong=equal_starts,
)
def capsules(extract: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> None:
    u = extract(HISTORY, ITEMS, BILINEAR, START)
    close(u, torch.stack([routed(ids, ITEMS, BILINEAR, START) for ids in HISTORY.tolist()]))
    padded = torch.cat([HISTORY, torch.zeros(3, 5, dtype=IDS)], 1)
    close(extract(padded, ITEMS, BILINEAR, START), u)


def projected(
    history: Tensor, items: Tensor, bilinear: Tensor, start: Tensor, about: Tensor, w1: Tensor, b1: Tensor, w2: Tensor,
    b2: Tensor,
) -> Tensor:  # fmt: skip
    rows = []
    for ids, p in zip(history.tolist(), about, strict=True):
        capsules = routed(ids, items, bilinear, start)
        rows.append([w2 @ (w1 @ torch.cat([u, p]) + b1).clamp(min=0) + b2 for u in capsules])
    return torch.stack([torch.stack(row) for row in rows])


def relu_at_the_end(*arguments: Tensor) -> Tensor:
    """Has a ReLU at the end too, so that no interest has a negative number."""
    return projected(*arguments).clamp(min=0)


@contract(
    "eq-mind-interests",
    "Every capsule meets the same profile and passes the same two layers, with one ReLU between them: interests may"
    " have negative numbers.",
    package=packages_interests,
    chapter=CHAPTER.interests,
    wrong=relu_at_the_end,
)
def interests(extract: Callable[..., Tensor]) -> None:
    about, layers = draw(3, 4, seed=3), (draw(9, 8, seed=4), draw(9, seed=5), draw(4, 9, seed=6), draw(4, seed=7))
    v = extract(HISTORY, ITEMS, BILINEAR, START, about, *layers)
    close(v, projected(HISTORY, ITEMS, BILINEAR, START, about, *layers))
    assert (v < 0).any()
    copies = extract(HISTORY, ITEMS, BILINEAR, torch.zeros_like(START), about, *layers)
    close(copies, copies[:, :1].expand(-1, 3, -1))


# ------------------------------------------------------------------------------------------------ label-aware attention


def packages_power(scores: Tensor, p: float) -> Tensor:
    one = torch.ones(1, 1, dtype=scores.dtype)
    return label_aware_attention(scores[None, :, None], one, p, form="power").weights[0]


def times_the_score(scores: Tensor, p: float) -> Tensor:
    """Multiplies the score by p instead of raising it to the power p."""
    return (p * scores).softmax(-1)


@contract(
    "eq-mind-power",
    "The printed weights sum to one and follow the scores' powers: all equal at p = 0, and at an even p a score and"
    " its negative weigh the same.",
    package=packages_power,
    chapter=CHAPTER.power_weights,
    wrong=times_the_score,
)
def power(power_weights: Callable[[Tensor, float], Tensor]) -> None:
    scores = torch.tensor([0.9, 0.3, -0.95, -0.3], dtype=torch.float64)
    for p in (0, 1, 2, 3, 8):
        weights = power_weights(scores, p)
        close(weights.sum(), torch.ones_like(weights[0]))
        close((weights / weights[0]).log(), torch.tensor([float(s) ** p - 0.9**p for s in scores], dtype=torch.float64))
    close(power_weights(scores, 0), torch.full_like(scores, 1 / 4))
    close(power_weights(scores, 2), power_weights(-scores, 2))


def by_power(interests: Tensor, target: Tensor, p: float) -> tuple[Tensor, Tensor]:
    """Raises the score to the power p, which forgets its sign where p is even."""
    scores = torch.einsum("bkd,bd->bk", interests, target)
    weights = (scores**p).nan_to_num(0, 0, 0).softmax(1)
    return torch.einsum("bk,bkd->bd", weights, interests), weights


@contract(
    "eq-mind-label-aware",
    "The weights sum to one and never change the order of the interests' scores: p = 0 gives the average, p → ∞ the"
    " best interest alone, and the user is their weighted sum.",
    package=label_aware_attention,
    chapter=CHAPTER.label_aware_attention,
    wrong=by_power,
)
def label_aware(attend: Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]) -> None:
    v, target = draw(6, 4, 3), draw(6, 3, seed=1)
    scores = torch.stack([torch.stack([one @ e for one in user]) for user, e in zip(v, target, strict=True)])
    for p in (0.0, 0.5, 1.0, 2.0, 8.0):
        user, weights = attend(v, target, p)
        close(weights.sum(1), torch.ones(6, dtype=v.dtype))
        close((weights[:, 1:] / weights[:, :1]).log(), p * (scores[:, 1:] - scores[:, :1]))
        close(user, (weights[:, :, None] * v).sum(1))
    close(attend(v, target, 0.0)[0], v.mean(1))
    close(attend(v, target, math.inf)[0], v[torch.arange(6), scores.argmax(1)])


# --------------------------------------------------------------------------------------------------------------- losses


def padding_takes_part(scores: Tensor, target: Tensor) -> Tensor:
    """Lets the padding take part in the sum."""
    return -scores.log_softmax(1).gather(1, target[:, None]).mean()


@contract(
    "eq-mind-probability",
    "The probabilities of the N films sum to one, padding has none; a score more by one makes a film e times as "
    "likely as another.",
    package=losses.full_softmax,
    chapter=CHAPTER.full_softmax,
    wrong=padding_takes_part,
)
def probability(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    scores = draw(1, 9)
    p = torch.stack([(-loss(scores, torch.tensor([i]))).exp() for i in range(1, 9)])
    close(p.sum(), torch.ones_like(p[0]))
    close((p / p[0]).log(), scores[0, 1:] - scores[0, 1])
    louder = scores.clone()
    louder[0, 0] = 30
    close(loss(louder, torch.tensor([3])), loss(scores, torch.tensor([3])))


def targets_own_denominator(scores: Tensor, target: Tensor) -> Tensor:
    """Has the target's score in every term of the sum, so that the loss is log N whatever the model does."""
    own = scores.gather(1, target[:, None])
    return (own.expand(-1, scores.shape[1] - 1).logsumexp(1) - own[:, 0]).mean()


@contract(
    "eq-mind-loss",
    "The loss is the users' mean surprise: log N where all films score alike, and lower wherever a target's score "
    "rises.",
    package=losses.full_softmax,
    chapter=CHAPTER.full_softmax,
    wrong=targets_own_denominator,
)
def loss_is_mean(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    scores, target = draw(5, 9), torch.tensor([3, 8, 1, 4, 4])
    close(loss(torch.zeros_like(scores), target), torch.tensor(8.0, dtype=scores.dtype).log())
    each = torch.stack([loss(scores[b : b + 1], target[b : b + 1]) for b in range(5)])
    close(loss(scores, target), each.mean())
    higher = scores.scatter_add(1, target[:, None], torch.full((5, 1), 0.5, dtype=scores.dtype))
    assert loss(higher, target) < loss(scores, target) - 0.1


def packages_sampled(positive: Tensor, negatives: Tensor, target: Tensor, sampled: Tensor, log_q: Tensor) -> Tensor:
    return losses.sampled_softmax(positive, negatives, target, sampled, log_q=log_q)


def negatives_only(positive: Tensor, negatives: Tensor, target: Tensor, sampled: Tensor, log_q: Tensor) -> Tensor:
    """Lowers the negatives' scores and not the target's."""
    zero = log_q.clone()
    zero[target] = 0
    return CHAPTER.sampled_softmax(positive, negatives - log_q[sampled], target, sampled, None)


@contract(
    "eq-mind-sampled",
    "Every score, the target's too, is lowered by the log of its expected draws: equal draws cancel, a sampled "
    "target is left out, and with all films drawn once it is the full loss.",
    package=packages_sampled,
    chapter=CHAPTER.sampled_softmax,
    wrong=negatives_only,
)
def sampled_loss(loss: Callable[..., Tensor]) -> None:
    scores, target, sampled = draw(4, 12), torch.tensor([3, 7, 1, 3]), torch.tensor([5, 7, 2, 9, 9, 11])
    own, drawn, log_q = scores.gather(1, target[:, None])[:, 0], scores[:, sampled], draw(12, seed=1)
    terms = []
    for b, i in enumerate(target.tolist()):
        top = math.exp(own[b] - log_q[i])
        others = sum(math.exp(scores[b, j] - log_q[j]) for j in sampled.tolist() if j != i)
        terms.append(-math.log(top / (top + others)))
    close(loss(own, drawn, target, sampled, log_q), torch.tensor(sum(terms) / 4, dtype=scores.dtype))
    even, twice = torch.zeros(12, dtype=scores.dtype), torch.full((12,), math.log(2), dtype=scores.dtype)
    close(loss(own, drawn, target, sampled, twice), loss(own, drawn, target, sampled, even))
    everything = torch.arange(1, 12)
    full = -scores[:, 1:].log_softmax(1).gather(1, target[:, None] - 1).mean()
    close(loss(own, scores[:, 1:], target, everything, even), full)


# ------------------------------------------------------------------------------------------------------- serving, rules


def first_interest(interests: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Scores by interest 0 only."""
    scores = torch.einsum("bd,nd->bn", interests[:, 0], items)
    return scores, torch.zeros_like(scores, dtype=IDS)


@contract(
    "eq-mind-score",
    "An item's score is the largest of its inner products with the user's interests, whatever their order, and the "
    "winner is the interest that gives it.",
    package=retrieval.best_interest,
    chapter=CHAPTER.best_interest,
    wrong=first_interest,
)
def best_score(best_interest: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> None:
    v, items = draw(3, 4, 5), draw(9, 5, seed=1)
    scores, winner = best_interest(v, items)
    for b in range(3):
        for i in range(9):
            each = [float(one @ items[i]) for one in v[b]]
            assert math.isclose(float(scores[b, i]), max(each), rel_tol=1e-9)
            assert int(winner[b, i]) == each.index(max(each))
    close(best_interest(v.flip(1), items)[0], scores)


def packages_rule(interests: Tensor, target: Tensor, candidates: Tensor, rule: str) -> Tensor:
    return losses.candidate_scores(interests, target, candidates, rule=rule)


def target_chooses(interests: Tensor, target: Tensor, candidates: Tensor, rule: str) -> Tensor:
    """Lets the target choose the interest that scores all candidates."""
    return packages_rule(interests, target, candidates, "target_picks")


@contract(
    "eq-mind-rules",
    "Every candidate is scored by its own best interest, or by the log of the mean exponential of its scores; the "
    "target has no say, and equal interests give their common score.",
    package=packages_rule,
    chapter=CHAPTER.candidate_scores,
    wrong=target_chooses,
)
def rules(score: Callable[[Tensor, Tensor, Tensor, str], Tensor]) -> None:
    v, target, items = draw(3, 4, 5), draw(3, 5, seed=1), draw(7, 5, seed=2)
    each = torch.stack([torch.stack([items @ one for one in user]) for user in v])  # (B, K, M)
    for rule, expected in (("max", each.max(1).values), ("logsumexp", each.exp().mean(1).log())):
        close(score(v, target, items, rule), expected)
        close(score(v, -target, items, rule), expected)
        close(score(v[:, :1].expand(-1, 4, -1), target, items, rule), each[:, 0])


def log_of_the_sum(interests: Tensor, target: Tensor, candidates: Tensor, rule: str) -> Tensor:
    """Takes the log of the sum instead of the mean."""
    return torch.einsum("bkd,md->bkm", interests, candidates).logsumexp(1)


@contract(
    "eq-mind-bounds",
    "The smooth score lies between the best score and the best less log K, and reaches the upper end where all "
    "interests agree.",
    package=packages_rule,
    chapter=CHAPTER.candidate_scores,
    wrong=log_of_the_sum,
)
def bounds(score: Callable[[Tensor, Tensor, Tensor, str], Tensor]) -> None:
    for scale in (0.01, 1.0, 10.0):
        v, items = draw(5, 4, 6, scale=scale), draw(30, 6, seed=1)
        smooth, best = score(v, items[:5], items, "logsumexp"), torch.einsum("bkd,md->bkm", v, items).amax(1)
        assert (smooth <= best + 1e-9).all() and (smooth >= best - math.log(4) - 1e-9).all()
    same = v[:, :1].expand(-1, 4, -1)
    close(score(same, items[:5], items, "logsumexp"), torch.einsum("bd,md->bm", v[:, 0], items))

"""Exercises of chapter 3: coupling weights, interests, the whole loop, adaptive K."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from mi_lite.capsules import squash
from mi_lite.exercises.bank import after, first_users, without
from mi_lite.exercises.cases import padded, ragged_mask, source
from mi_lite.exercises.forms import Case, Coding, Function, Mistake, Parsons, Property, Research


def _cases() -> list[Case]:
    """Logits, behaviours, map and mask of two batches."""
    cases = []
    for seed, (B, T, K, D) in enumerate(((3, 7, 4, 5), (4, 9, 2, 6))):
        g, mask = source(seed), ragged_mask(B, T)
        logits = 2 * torch.randn(B, T, K, generator=g)
        behaviors = torch.randn(B, T, D, generator=g)
        bilinear = torch.randn(D, D, generator=g) / D**0.5
        cases.append(dict(logits=padded(logits, mask), behaviors=padded(behaviors, mask), bilinear=bilinear, mask=mask))
    return cases


# ---- coupling weights ----


def weights(logits: Tensor, mask: Tensor) -> Tensor:
    return logits.softmax(dim=2) * mask[:, :, None]


def _history_weights(logits: Tensor, mask: Tensor) -> Tensor:
    return logits.masked_fill(~mask[:, :, None], -torch.inf).softmax(dim=1)


def _weights_cases() -> list[Case]:
    return [dict(logits=case["logits"], mask=case["mask"]) for case in _cases()]


WEIGHTS = Coding(
    name="dynamic_routing.weights",
    title="Coupling weights",
    task=(
        "Turn routing logits `(B, T, K)` into coupling weights, [(3.2)](#eq-routing-weights): each real behaviour "
        "shares itself out among the interests, and padding gives nothing. `mask` is `(B, T)`, True where a behaviour "
        "is real."
    ),
    stub='''def weights(logits, mask):
    """logits (B, T, K), mask (B, T) -> coupling weights (B, T, K)"""
    ...
''',
    solve=weights,
    cases=_weights_cases,
    inputs={"logits": "B T K", "mask": "B T"},
    returns={"weights": "B T K"},
    hints=(
        "Which index do the weights of one behaviour have to sum to one over?",
        "torch.softmax has an argument dim. The dimensions are users 0, behaviours 1, interests 2.",
        "Padding has to weigh 0. The mask is (B, T); mask[:, :, None] is (B, T, 1) and multiplies all interests.",
    ),
    properties=(
        Property(
            "The weights of each real behaviour should sum to one over the interests.",
            lambda case, w: torch.allclose(w.sum(2)[case["mask"]], torch.ones(int(case["mask"].sum())), atol=1e-4),
        ),
        Property("Padding should weigh 0.", lambda case, w: not bool(w[~case["mask"]].any())),
    ),
    mistakes=(
        Mistake(
            "Your weights sum to one over the behaviours, not over the interests: each interest averages the history. "
            "The paper's sum to one over the interests: each behaviour shares itself out.",
            _history_weights,
        ),
        Mistake(
            "Your softmax runs over the behaviours, and padding is masked only after it: the weights of real "
            "behaviours shrink as the batch is padded further. The paper's runs over the interests.",
            lambda logits, mask: logits.softmax(1) * mask[:, :, None],
        ),
        Mistake(
            "Your softmax runs over the users: one user's weights depend on who else is in the batch.",
            lambda logits, mask: logits.softmax(0) * mask[:, :, None],
        ),
        Mistake("The mask is not used: padding takes weight.", without(weights, mask=torch.ones_like)),
        Mistake(
            "The mask is turned round: real behaviours weigh 0 and padding takes the weight.",
            without(weights, mask=torch.logical_not),
        ),
        Mistake(
            "Padding's logits were set to 0 before the softmax. That is no mask: equal logits give padding the "
            "weight 1/K.",
            lambda logits, mask: (logits * mask[:, :, None]).softmax(2),
        ),
        Mistake(
            "Every user gets the first user's logits. Each user routes by her own.",
            first_users(weights, "logits"),
        ),
        Mistake(
            "These are sigmoids: each weight ignores the other interests, and their sum is not one.",
            lambda logits, mask: logits.sigmoid() * mask[:, :, None],
        ),
        Mistake(
            "These are exponentials that nobody divided by their sum over the interests.",
            lambda logits, mask: (logits * mask[:, :, None]).exp() * mask[:, :, None],
        ),
        Mistake(
            "The sign of the logits is turned: the interest that agrees least gets the most.",
            without(weights, logits=torch.neg),
        ),
        Mistake(
            "These are the logarithms of the weights (log_softmax).",
            lambda logits, mask: logits.log_softmax(2) * mask[:, :, None],
        ),
        Mistake(
            "Each behaviour goes wholly to its largest logit. Coupling is soft: every interest gets a share.",
            lambda logits, mask: one_hot(logits.argmax(2), logits.shape[2]) * mask[:, :, None].float(),
        ),
    ),
)  # fmt: skip


# ---- interests from weights ----


def interests(behaviors: Tensor, bilinear: Tensor, weights: Tensor) -> Tensor:
    votes = behaviors @ bilinear.T
    return squash(weights.transpose(1, 2) @ votes)


def _interest_cases() -> list[Case]:
    return [
        dict(behaviors=case["behaviors"], bilinear=case["bilinear"], weights=weights(case["logits"], case["mask"]))
        for case in _cases()
    ]


def _summed(behaviors: Tensor, bilinear: Tensor, weights: Tensor) -> Tensor:
    return weights.transpose(1, 2) @ (behaviors @ bilinear.T)


INTERESTS = Coding(
    name="dynamic_routing.interests",
    title="Interests from behaviours",
    task=(
        "Make the interests of [(3.6)](#eq-b2i-interest): map each behaviour by $S$, sum the votes with the coupling "
        "weights, squash. Write it for a whole batch, without a loop. `squash` is imported above."
    ),
    stub='''def interests(behaviors, bilinear, weights):
    """behaviors (B, T, D), bilinear (D, D), weights (B, T, K) -> interests (B, K, D)"""
    ...
''',
    solve=interests,
    cases=_interest_cases,
    inputs={"behaviors": "B T D", "bilinear": "D D", "weights": "B T K"},
    returns={"interests": "B K D"},
    hints=(
        "Three steps: votes (B, T, D), a weighted sum over T that gives (B, K, D), and squash.",
        "A vote is S e. With one behaviour a row, S e for all of them is behaviors @ bilinear.T.",
        "weights.transpose(1, 2) is (B, K, T); times votes (B, T, D) it sums over the behaviours.",
    ),
    properties=(
        Property(
            "Every interest should be shorter than 1: that is what squash is for.",
            lambda case, u: bool((u.norm(dim=-1) < 1 + 1e-5).all()),
        ),
    ),
    mistakes=(
        Mistake(
            "The map is transposed: behaviors @ bilinear is Sᵀe. The vote is S e, behaviors @ bilinear.T.",
            without(interests, bilinear=lambda S: S.T),
        ),
        Mistake(
            "The map S is not used: the behaviours themselves are summed.",
            without(interests, bilinear=lambda S: torch.eye(len(S))),
        ),
        Mistake("The squash is missing: lengths grow beyond 1.", _summed),
        Mistake(
            "You average the votes (weights divided by their sum over the behaviours). The interest is their sum: its "
            "length says how many behaviours agree.",
            without(interests, weights=lambda w: w / w.sum(1, keepdim=True).clamp_min(1e-9)),
        ),
        Mistake(
            "You divide by the number of behaviours T, padding included. The interest is a sum, not a mean.",
            without(interests, weights=lambda w: w / w.shape[1]),
        ),
        Mistake(
            "Each vote was squashed before the sum. Squash once, after the sum.",
            lambda behaviors, bilinear, weights: weights.transpose(1, 2) @ squash(behaviors @ bilinear.T),
        ),
        Mistake(
            "Your squash runs over the interests (dim=1), so they depend on each other. It runs over the dimensions.",
            after(_summed, lambda s: squash(s, dim=1)),
        ),
        Mistake(
            "The weights are not used: every behaviour counts the same for every interest.",
            without(interests, weights=torch.ones_like),
        ),
        Mistake(
            "Every interest was scaled to length 1. Squash keeps short vectors short.",
            after(_summed, lambda s: normalize(s, dim=-1)),
        ),
        Mistake(
            "The values are squashed number by number. Squash works on a vector's length and keeps its direction.",
            after(_summed, lambda s: s.square() / (1 + s.square()) * s.sign()),
        ),
    ),
)


# ---- the loop, with a fault in it ----


def route(behaviors: Tensor, bilinear: Tensor, logits: Tensor, mask: Tensor, iterations: int) -> Tensor:
    votes = (behaviors @ bilinear.T) * mask[:, :, None]
    for _ in range(iterations):
        weights = logits.softmax(dim=2) * mask[:, :, None]
        interests = squash(weights.transpose(1, 2) @ votes)
        logits = logits + votes @ interests.transpose(1, 2)
    return interests


def _loop(**change: str) -> Function:
    """The loop with one thing different."""

    def wrong(behaviors: Tensor, bilinear: Tensor, logits: Tensor, mask: Tensor, iterations: int) -> Tensor:
        votes = (behaviors @ bilinear.T) * mask[:, :, None]
        interests = votes
        for _ in range(iterations + {"once more": 1, "once less": -1}.get(change.get("count", ""), 0)):
            dim = 1 if change.get("axis") == "behaviors" else 2
            weights = logits.masked_fill(~mask[:, :, None], -torch.inf if dim == 1 else 0.0).softmax(dim)
            weights = weights * mask[:, :, None]
            interests = weights.transpose(1, 2) @ votes
            interests = interests if change.get("squash") == "none" else squash(interests)
            agreed = votes @ interests.transpose(1, 2)
            if change.get("agreement") == "shared":
                agreed = agreed.sum(0, keepdim=True)
            if change.get("agreement") == "mean":
                agreed = agreed.mean(0, keepdim=True)
            if change.get("agreement") == "behaviors":
                agreed = (behaviors * mask[:, :, None]) @ interests.transpose(1, 2)
            if change.get("agreement") == "cosine":
                agreed = normalize(votes, dim=2) @ normalize(interests, dim=2).transpose(1, 2)
            sign = -1 if change.get("agreement") == "minus" else 1
            if change.get("agreement") != "none":
                logits = agreed if change.get("update") == "assign" else logits + sign * agreed
        return interests

    return wrong


def _route_cases() -> list[Case]:
    return [{**{k: case[k] for k in ("behaviors", "bilinear", "logits", "mask")}, "iterations": iterations}
            for case, iterations in zip(_cases(), (3, 2), strict=True)]  # fmt: skip


ROUTE = Coding(
    name="dynamic_routing.route",
    title="Spot the bug: one batch, one memory",
    task=(
        "A public layer kept its logits in one variable and added the agreement of the whole batch to it. The code "
        "below does the same. It runs, it trains, and it returns the wrong interests. Mend it."
    ),
    stub='''def route(behaviors, bilinear, logits, mask, iterations):
    """behaviors (B, T, D), bilinear (D, D), logits (B, T, K), mask (B, T) -> interests (B, K, D)"""
    votes = (behaviors @ bilinear.T) * mask[:, :, None]
    for _ in range(iterations):
        weights = logits.softmax(dim=2) * mask[:, :, None]
        interests = squash(weights.transpose(1, 2) @ votes)
        agreement = votes @ interests.transpose(1, 2)
        logits = logits + agreement.sum(dim=0, keepdim=True)
    return interests
''',
    solve=route,
    cases=_route_cases,
    inputs={"behaviors": "B T D", "bilinear": "D D", "logits": "B T K", "mask": "B T", "iterations": ""},
    returns={"interests": "B K D"},
    mend=True,
    hints=(
        "Route one user alone, then the same user in a batch of two. Do her interests stay the same?",
        "Follow the shapes: agreement is (B, T, K). What is left of B in the line after it?",
        "Each user's logits take her own agreement: nothing is summed over dim 0.",
    ),
    mistakes=(
        Mistake("The logits still take the agreement of the whole batch: who else is in it changes a user's interests.",
                _loop(agreement="shared")),
        Mistake("The logits take the mean agreement of the batch. A mean over users mixes them as a sum does.",
                _loop(agreement="mean")),
        Mistake("The logits are assigned (b = agreement). The algorithm accumulates: b = b + agreement.",
                _loop(update="assign")),
        Mistake("The logits are never updated: every iteration gives the same weights.",
                _loop(agreement="none")),
        Mistake("One iteration too many: the interests are made from the weights of iteration R, not R + 1.",
                _loop(count="once more")),
        Mistake("One iteration too few.", _loop(count="once less")),
        Mistake("The agreement is subtracted: behaviours flee from the interests that fit them.",
                _loop(agreement="minus")),
        Mistake("The agreement is between interest and behaviour e; it should be with the vote S e.",
                _loop(agreement="behaviors")),
        Mistake("The agreement is a cosine. The algorithm takes the inner product: long votes count for more.",
                _loop(agreement="cosine")),
        Mistake("The softmax runs over the behaviours; it should run over the interests.",
                _loop(axis="behaviors")),
        Mistake("The squash is missing, so the agreements grow without a bound.", _loop(squash="none")),
        Mistake("The mask is not used: padding votes.", without(route, mask=torch.ones_like)),
        Mistake("Every user starts from the first user's logits.", first_users(route, "logits")),
    ),
)  # fmt: skip


# ---- adaptive K ----


def adaptive(lengths: Tensor, max_interests: int) -> Tensor:
    return lengths.float().log2().floor().clamp(1, max_interests).long()


ADAPTIVE = Coding(
    name="dynamic_routing.adaptive",
    title="How many interests?",
    task=(
        "Give each user her own number of interests, [(3.13)](#eq-adaptive-k): the logarithm to base 2 of the length "
        "of her history, rounded down, at least 1 and at most K."
    ),
    stub='''def adaptive(lengths, max_interests):
    """lengths (B,) whole numbers, at least 1 -> number of interests (B,), whole numbers"""
    ...
''',
    solve=adaptive,
    cases=lambda: [
        dict(lengths=torch.tensor([1, 2, 3, 4, 6, 7, 8, 12, 20, 50, 300]), max_interests=4),
        dict(lengths=torch.tensor([1, 3, 5, 8, 15, 31, 40]), max_interests=8),
    ],
    inputs={"lengths": "B", "max_interests": ""},
    returns={"num_interests": "B"},
    differentiable=False,
    hints=(
        "Three films: log2(3) = 1.58. Rounded down, one interest.",
        "lengths are whole numbers: lengths.float().log2() can be rounded.",
        "x.clamp(low, high) holds both ends; .long() makes whole numbers of it.",
    ),
    mistakes=(
        Mistake("You round to the nearest number; the exercise rounds down (floor).",
                lambda lengths, max_interests: lengths.float().log2().round().clamp(1, max_interests).long()),
        Mistake("You round up (ceil); the exercise rounds down (floor).",
                lambda lengths, max_interests: lengths.float().log2().ceil().clamp(1, max_interests).long()),
        Mistake("This is the natural logarithm; it should be the one to base 2.",
                lambda lengths, max_interests: lengths.float().log().floor().clamp(1, max_interests).long()),
        Mistake("This is the logarithm to base 10; it should be the one to base 2.",
                lambda lengths, max_interests: lengths.float().log10().floor().clamp(1, max_interests).long()),
        Mistake("A user with one film gets no interest: log2(1) = 0. Everyone has at least one.",
                lambda lengths, max_interests: lengths.float().log2().floor().clamp(max=max_interests).long()),
        Mistake("Nobody may have more than max_interests: the upper end is missing.",
                lambda lengths, max_interests: lengths.float().log2().floor().clamp(min=1).long()),
        Mistake("Every user gets max_interests: her own length is not used.",
                lambda lengths, max_interests: torch.full_like(lengths, max_interests)),
        Mistake("The number of films itself is cut at K; the rule takes its logarithm first.",
                lambda lengths, max_interests: lengths.clamp(1, max_interests)),
        Mistake("One interest too many: log2(n) + 1 counts the binary digits of n.",
                lambda lengths, max_interests: (lengths.float().log2().floor() + 1).clamp(1, max_interests).long()),
    ),
)  # fmt: skip


ORDER = Parsons(
    name="dynamic_routing.order",
    title="The loop, shuffled",
    task="These lines are the body of B2I routing, shuffled, and one belongs nowhere. Put the others in order.",
    lines={
        "A": "    logits = logits + votes @ interests.transpose(1, 2)",
        "B": "for _ in range(iterations):",
        "C": "    interests = squash(weights.transpose(1, 2) @ votes)",
        "D": "votes = behaviors @ bilinear.T",
        "E": "    logits = torch.zeros_like(logits)",
        "F": "    weights = logits.softmax(dim=2) * mask[:, :, None]",
        "G": "return interests",
    },
    order="DBFCAG",
    rules=(
        ("D", "B", "S and the behaviours do not change, so the votes are made once, outside the loop."),
        ("B", "F", "the weights are made anew in every iteration, so inside the loop."),
        ("F", "C", "the sum needs the weights."),
        ("C", "A", "the agreement needs the interests."),
        ("A", "G", "the interests are returned after the last iteration."),
    ),
    spare={"E": "logits that start again at zero forget all agreement, and equal logits stay equal."},
    hints=(
        "What stays the same in every iteration stands before the loop.",
        "In the loop each line needs what the line before it made: weights, interests, agreement.",
        "It begins with D and B; E is the line to leave out.",
    ),
)

RESEARCH = Research(
    name="dynamic_routing.starts",
    title="A research question: where should logits start?",
    task=(
        "Far-apart starts made three rounds group as well as k-means in the planted world, where recall hardly moved; "
        "on films it rose by about .03. Design an experiment that tells whether better groups are worth anything to a "
        "recommender. State what would change your mind before you run it."
    ),
    hints=(
        "Separate two questions: are the groups right, and does the recommender use them?",
        "In the planted world you can hand the model the true groups. What is the most that right groups can gain?",
        "Same seeds, same tuning for both arms, paired differences with an interval.",
    ),
    rubric=(
        (
            2,
            "names the quantity (recall of the served list) and a second one for the groups (adjusted Rand index)",
        ),
        (2, "has an upper bound: the model with the true groups, or a start at the planted centres"),
        (2, "compares paired over at least five seeds, both arms tuned alike, and states the spread"),
        (2, "varies what could explain a null result: K, iterations, crowding, the training rule"),
        (2, "says before the run which result would speak against the idea"),
    ),
)

EXERCISES = (WEIGHTS, INTERESTS, ROUTE, ADAPTIVE, ORDER, RESEARCH)

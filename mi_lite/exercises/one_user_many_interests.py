"""Exercises of chapter 1: the mean of a history, a mean for each group, NDCG, a split that leaks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize, one_hot

from mi_lite.exercises.bank import after, first_users, without
from mi_lite.exercises.cases import padded, ragged_mask, source
from mi_lite.exercises.forms import Case, Coding, Function, Mistake, Parsons, Property, Research


def _histories(seed: int, B: int, T: int, D: int) -> tuple[Tensor, Tensor]:
    """Behaviours ``(B, T, D)`` of different lengths, large numbers as padding, and their mask ``(B, T)``."""
    g, mask = source(seed), ragged_mask(B, T)
    behaviors = torch.randn(B, T, D, generator=g) * (0.5 + torch.rand(B, T, 1, generator=g))
    return padded(behaviors, mask), mask


# ---- one vector: the mean ----


def mean_vector(behaviors: Tensor, mask: Tensor) -> Tensor:
    weights = mask[:, :, None].float()
    return (behaviors * weights).sum(dim=1) / weights.sum(dim=1)


def _mean_cases() -> list[Case]:
    (behaviors, mask), (others, other_mask) = _histories(0, 3, 7, 5), _histories(1, 4, 9, 6)
    return [dict(behaviors=behaviors, mask=mask), dict(behaviors=others.flip(0), mask=other_mask.flip(0))]


MEAN = Coding(
    name="one_user_many_interests.mean",
    title="The mean of a history",
    task=(
        "The smallest user tower of [(1.7)](#eq-one-two-towers): a user is the mean of her films' vectors. Histories "
        "have different lengths, so the short ones are padded, and what stands in the padding is not zero here. "
        "Write it for a whole batch, without a loop."
    ),
    stub='''def mean_vector(behaviors, mask):
    """behaviors (B, T, D), mask (B, T), True where a behaviour is real -> users (B, D)"""
    ...
''',
    solve=mean_vector,
    cases=_mean_cases,
    inputs={"behaviors": "B T D", "mask": "B T"},
    returns={"users": "B D"},
    hints=(
        "A mean is a sum and a number. Padding must enter neither of them.",
        "mask[:, :, None] is (B, T, 1): it multiplies all D numbers of a behaviour by 0 or 1.",
        "Sum what is real over T, dim=1, and divide by mask.sum(1, keepdim=True), each user by her own number.",
    ),
    properties=(
        Property(
            "Every number of a user's vector should lie between the smallest and the largest of her real films.",
            lambda case, v: bool(
                (v <= case["behaviors"].masked_fill(~case["mask"][:, :, None], -torch.inf).amax(1) + 1e-4).all()
                and (v >= case["behaviors"].masked_fill(~case["mask"][:, :, None], torch.inf).amin(1) - 1e-4).all()
            ),
        ),
    ),
    mistakes=(
        Mistake("The mask is not used: what stands in the padding is averaged, too.",
                without(mean_vector, mask=torch.ones_like)),
        Mistake("Padding is zero in your sum, but it counts in the number you divide by, T. Short histories get short "
                "vectors.", lambda behaviors, mask: (behaviors * mask[:, :, None]).mean(1)),
        Mistake("Padding is in the sum, though not in the number you divide by.",
                lambda behaviors, mask: behaviors.sum(1) / mask.sum(1, keepdim=True)),
        Mistake("This is the sum of the real behaviours. The mean divides by how many there are.",
                lambda behaviors, mask: (behaviors * mask[:, :, None]).sum(1)),
        Mistake("The mask is the wrong way round: it is True where a behaviour is real.",
                lambda behaviors, mask: (behaviors * ~mask[:, :, None]).sum(1) / (~mask).sum(1, True).clamp_min(1)),
        Mistake("All users are divided by the number of the first one's behaviours.",
                lambda behaviors, mask: (behaviors * mask[:, :, None]).sum(1) / mask[0].sum()),
        Mistake("All users get the first user's mask.", first_users(mean_vector, "mask")),
        Mistake("You divide by the real behaviours of the whole batch. Each user has her own number.",
                lambda behaviors, mask: (behaviors * mask[:, :, None]).sum(1) / mask.sum()),
        Mistake("Each film was made unit length before the mean. That is a choice of its own; the task takes the "
                "vectors as they are.",
                lambda behaviors, mask: mean_vector(normalize(behaviors, dim=2), mask)),
        Mistake("The mean was made unit length. The task wants the mean itself, which is short where tastes differ.",
                after(mean_vector, lambda v: normalize(v, dim=1))),
        Mistake("This is the last real film, not the mean of all.",
                lambda behaviors, mask: behaviors[torch.arange(len(mask)), mask.sum(1) - 1]),
        Mistake("This is the largest value over the films, number by number. A mean weighs all films alike.",
                lambda behaviors, mask: behaviors.masked_fill(~mask[:, :, None], -torch.inf).amax(1)),
        Mistake("This is the median over the films, number by number. The mean lets every film pull.",
                lambda behaviors, mask: torch.stack(
                    [x[real].median(0).values for x, real in zip(behaviors, mask, strict=True)])),
        Mistake("The mean runs over a user's D numbers somewhere: they are all the same. It runs over T, dim=1.",
                after(mean_vector, lambda v: v.mean(1, keepdim=True).expand_as(v))),
    ),
)  # fmt: skip


# ---- several vectors: a mean for each group ----


def group_means(behaviors: Tensor, group: Tensor, num_interests: int) -> Tensor:
    member = one_hot(group + 1, num_interests + 1)[:, :, 1:].to(behaviors.dtype)
    sums = member.transpose(1, 2) @ behaviors
    return sums / sums.norm(dim=2, keepdim=True).clamp_min(1e-12)


def _group_cases() -> list[Case]:
    cases = []
    for seed, (B, T, K, D) in enumerate(((3, 7, 4, 5), (4, 9, 2, 6))):
        behaviors, mask = _histories(seed + 5, B, T, D)
        group = torch.arange(T).expand(B, T) % K
        group = torch.where(torch.arange(B)[:, None] == 1, 0, group)  # user 1: one group, the others are empty
        group = torch.where(torch.arange(T)[None] >= T - 3, 1, group)  # groups of different sizes
        cases.append(dict(behaviors=behaviors, group=group.masked_fill(~mask, -1), num_interests=K))
    return cases


def _members(group: Tensor, num_interests: int) -> Tensor:
    return one_hot(group + 1, num_interests + 1)[:, :, 1:].float()


def _from_groups(change: Function) -> Function:
    """Interests ``(B, K, D)`` from the groups' sums ``(B, K, D)`` and sizes ``(B, K, 1)``."""

    def wrong(behaviors: Tensor, group: Tensor, num_interests: int) -> Tensor:
        member = _members(group, num_interests)
        return change(member.transpose(1, 2) @ behaviors, member.sum(1)[:, :, None])

    return wrong


def _sizes_of(case: Case) -> Tensor:
    return _members(case["group"], case["num_interests"]).sum(1)


GROUPS = Coding(
    name="one_user_many_interests.groups",
    title="A mean for each group",
    task=(
        "k-means has said which group each film belongs to. Make the K interests: the mean of each group, in an *equal "
        "voice*, so of length 1. `group` is −1 at the padding. An empty group gives the zero vector."
    ),
    stub='''def group_means(behaviors, group, num_interests):
    """behaviors (B, T, D), group (B, T) in 0 .. K − 1, −1 for padding -> interests (B, K, D)"""
    ...
''',
    solve=group_means,
    cases=_group_cases,
    inputs={"behaviors": "B T D", "group": "B T", "num_interests": ""},
    returns={"interests": "B K D"},
    hints=(
        "Write who belongs where as a table of zeros and ones (B, T, K). A padded place has no one in its row.",
        "one_hot takes no −1: one_hot(group + 1, K + 1) has a column for padding, the first one. Drop it.",
        "member.transpose(1, 2) @ behaviors sums each group, (B, K, D). Divide by the length, clamped above 0.",
    ),
    properties=(
        Property(
            "An empty group should give the zero vector.", lambda case, v: bool((v[_sizes_of(case) == 0] == 0).all())
        ),
        Property(
            "The interest of a group with films should have length 1.",
            lambda case, v: bool(((v.norm(dim=2) - 1).abs() < 1e-3)[_sizes_of(case) > 0].all()),
        ),
    ),
    mistakes=(
        Mistake("Padding joins group 0: a −1 was cut off at 0.",
                without(group_means, group=lambda group: group.clamp(min=0))),
        Mistake("Padding joins the last group: in Python, −1 is the last index.",
                lambda behaviors, group, num_interests: group_means(behaviors, group % num_interests, num_interests)),
        Mistake("These are the groups' means, not of length 1: a group that agrees badly speaks more quietly.",
                _from_groups(lambda sums, size: sums / size.clamp_min(1))),
        Mistake("These are the groups' sums, not of length 1: a large group shouts the others down.",
                _from_groups(lambda sums, size: sums)),
        Mistake("This is a voice by share, T_k/T times the mean of the group. The task wants an equal voice: length 1.",
                _from_groups(lambda sums, size: sums / size.sum(1, keepdim=True))),
        Mistake("The sums are divided by T, padding included.",
                lambda behaviors, group, num_interests:
                _members(group, num_interests).transpose(1, 2) @ behaviors / behaviors.shape[1]),
        Mistake("Each film was made unit length before its group was summed; only the interests should be.",
                without(group_means, behaviors=lambda x: normalize(x, dim=2))),
        Mistake("An empty group gives NaN: its sum is 0, and so is its length. Clamp the length above 0.",
                _from_groups(lambda sums, size: sums / sums.norm(dim=2, keepdim=True))),
        Mistake("Length 1 was made over the interests (dim=1). A vector's length runs over its D numbers, dim=2.",
                _from_groups(lambda sums, size: normalize(sums, dim=1))),
        Mistake("Length 1 was made for all K interests of a user together. Each one has its own length.",
                _from_groups(lambda sums, size: sums / sums.norm(dim=(1, 2), keepdim=True))),
        Mistake("Each interest is one film, the first of its group. It should be the mean of all of them.",
                lambda behaviors, group, num_interests: group_means(
                    behaviors, group.masked_fill(_members(group, num_interests).cumsum(1).gather(
                        2, group.clamp(min=0)[:, :, None])[:, :, 0] != 1, -1), num_interests)),
        Mistake("All users get the first user's groups.", first_users(group_means, "group")),
        Mistake("The groups are off by one: group 0 is lost, and each other one stands a place too early.",
                without(group_means, group=lambda group: (group - 1).clamp_min(-1))),
        Mistake("All K interests are the mean of the whole history: the groups are not used.",
                lambda behaviors, group, num_interests: normalize(
                    (behaviors * (group >= 0)[:, :, None]).sum(1), dim=1)[:, None].expand(-1, num_interests, -1)),
        Mistake("The groups of all users are thrown together: every user gets the same interests.",
                lambda behaviors, group, num_interests: normalize(
                    torch.einsum("btk,btd->kd", _members(group, num_interests), behaviors), dim=1
                ).expand(len(group), -1, -1)),
    ),
)  # fmt: skip


# ---- a metric ----


def ndcg(ranked: Tensor, targets: Tensor) -> Tensor:
    real = (targets != 0)[:, None, :]
    hit = ((ranked[:, :, None] == targets[:, None, :]) & real).any(dim=2)
    gains = 1 / torch.log2(torch.arange(ranked.shape[1]) + 2)
    best = (targets != 0).sum(dim=1).clamp(max=len(gains))
    return (hit * gains).sum(dim=1) / gains.cumsum(dim=0)[best - 1]


def _hits(ranked: Tensor, targets: Tensor) -> Tensor:
    """Which places hit, ``(B, n)``."""
    return ((ranked[:, :, None] == targets[:, None, :]) & (targets != 0)[:, None, :]).any(2)


def _gains(n: int) -> Tensor:
    return 1 / torch.log2(torch.arange(n) + 2)


def _wanted(targets: Tensor) -> Tensor:
    return (targets != 0).sum(1)


def _ideal(count: Tensor, n: int) -> Tensor:
    """The best sum of gains that ``count`` targets allow on n places."""
    return torch.cat([torch.zeros(1), _gains(n).cumsum(0)])[count.clamp(max=n)]


def _by_gain(gain: Function) -> Function:
    """NDCG with other gains for the places, a function of n."""

    def wrong(ranked: Tensor, targets: Tensor) -> Tensor:
        gains = gain(ranked.shape[1])
        best = _wanted(targets).clamp(max=len(gains))
        return (_hits(ranked, targets) * gains).sum(1) / gains.cumsum(0)[best - 1]

    return wrong


def _by_hits(ranked: Tensor, targets: Tensor) -> Tensor:
    found = ((targets[:, :, None] == ranked[:, None, :]) & (targets != 0)[:, :, None]).any(2)
    return (found * _gains(targets.shape[1])).sum(1) / _ideal(found.sum(1), targets.shape[1]).clamp_min(1e-9)


NDCG = Coding(
    name="one_user_many_interests.ndcg",
    title="NDCG, where places count",
    task=(
        "Compute NDCG@n for each user, [(1.11)](#eq-one-ndcg). A user may have several targets, more than the list has "
        "places, or fewer than the table is wide: 0 fills both tables up and is nobody's film."
    ),
    stub='''def ndcg(ranked, targets):
    """ranked (B, n) ids, best first, targets (B, M) ids, at least one; 0 for nothing -> values (B,)"""
    ...
''',
    solve=ndcg,
    cases=lambda: [
        dict(
            ranked=torch.tensor([[4, 9, 2, 7, 5], [3, 8, 1, 6, 0], [2, 3, 9, 1, 4], [7, 1, 5, 2, 8]]),
            targets=torch.tensor([[2, 11, 9], [8, 0, 0], [6, 12, 0], [8, 5, 7]]),
        ),
        dict(
            ranked=torch.tensor([[3, 5], [1, 2], [9, 8], [6, 0], [2, 4], [5, 7]]),
            targets=torch.tensor([[8, 2, 5, 7], [2, 1, 4, 3], [9, 0, 0, 0], [5, 0, 0, 0], [2, 6, 8, 0], [7, 1, 0, 0]]),
        ),
    ],
    inputs={"ranked": "B n", "targets": "B M"},
    returns={"values": "B"},
    differentiable=False,
    hints=(
        "Two sums: the gains 1/log₂(r + 1) at the places that hit, and those of the best list there could be.",
        "ranked[:, :, None] == targets[:, None, :] compares each place with each target, (B, n, M). What of 0 == 0?",
        "The best list has its hits on top: the first min(n, number of targets) gains, each user's from gains.cumsum.",
    ),
    properties=(
        Property("Every value should lie between 0 and 1.", lambda case, v: bool(((v >= 0) & (v <= 1 + 1e-5)).all())),
        Property(
            "A list whose places all hit should have NDCG 1.",
            lambda case, v: bool(
                torch.isclose(v[_hits(**case).all(1)].double(), torch.ones(1, dtype=torch.double)).all()
            ),
        ),
        Property(
            "A list without a hit should have NDCG 0.", lambda case, v: bool((v[~_hits(**case).any(1)] == 0).all())
        ),
    ),
    mistakes=(
        Mistake("Padding hits padding: an empty place of the list and an empty target, both 0, count as a hit.",
                lambda ranked, targets: ((ranked[:, :, None] == targets[:, None, :]).any(2) * _gains(ranked.shape[1])
                                         ).sum(1) / _ideal(_wanted(targets), ranked.shape[1])),
        Mistake("This is DCG: it is not divided by what the best list would get.",
                lambda ranked, targets: (_hits(ranked, targets) * _gains(ranked.shape[1])).sum(1)),
        Mistake("The best list is taken to hit on all n places. It can only hit as often as there are targets.",
                lambda ranked, targets: (_hits(ranked, targets) * _gains(ranked.shape[1])).sum(1)
                / _gains(ranked.shape[1]).sum()),
        Mistake("The best list is taken to have as many hits as yours. So missed targets cost nothing.",
                lambda ranked, targets: (_hits(ranked, targets) * _gains(ranked.shape[1])).sum(1)
                / _ideal(_hits(ranked, targets).sum(1), ranked.shape[1]).clamp_min(1e-9)),
        Mistake("The best list hits on more than n places: with more targets than places it still has n.",
                lambda ranked, targets: (_hits(ranked, targets) * _gains(ranked.shape[1])).sum(1)
                / _ideal(_wanted(targets), 99)),
        Mistake("The best list is taken to find all M columns of the table. Zeros in it are no targets.",
                lambda ranked, targets: (_hits(ranked, targets) * _gains(ranked.shape[1])).sum(1)
                / _ideal(torch.full_like(targets[:, 0], targets.shape[1]), ranked.shape[1])),
        Mistake("The discount runs over the places of the targets, not of the list: turn the list upside down, and "
                "nothing changes.", _by_hits),
        Mistake("This is recall: a hit counts the same on every place.",
                lambda ranked, targets: _hits(ranked, targets).sum(1)
                / _wanted(targets).clamp(max=ranked.shape[1])),
        Mistake("This is the hit rate: whether there is a hit at all.",
                lambda ranked, targets: _hits(ranked, targets).any(1).float()),
        Mistake("A hit's gain is 1/r here. It should be 1/log₂(r + 1), which falls more slowly.",
                _by_gain(lambda n: 1 / (torch.arange(n) + 1.0))),
        Mistake("The places are counted from 2: the first should have the gain 1/log₂(2) = 1.",
                _by_gain(lambda n: 1 / torch.log2(torch.arange(n) + 3.0))),
        Mistake("The first place has the gain 1/log₂(1), which is infinite: it should be 1/log₂(r + 1), r from 1.",
                _by_gain(lambda n: 1 / torch.log2(torch.arange(n) + 1.0))),
        Mistake("Only the first hit counts: this is the gain of its place, as with a single target.",
                lambda ranked, targets: (_hits(ranked, targets) * _gains(ranked.shape[1])).amax(1)),
        Mistake("Only the first target is looked for; a user may have several.",
                lambda ranked, targets: ndcg(ranked, targets[:, :1])),
    ),
)  # fmt: skip


# ---- a split, with a fault in it ----


def leave_last(films: Tensor) -> tuple[Tensor, Tensor]:
    last = (films != 0).sum(dim=1, keepdim=True) - 1
    target = films.gather(1, last)[:, 0]
    history = films.masked_fill(torch.arange(films.shape[1]) == last, 0)
    return history, target


def _cut(films: Tensor, place: Tensor, first_kept: int = 0, until: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The film at ``place (B, 1)`` as target; history: what stands before it, or before ``until``."""
    at, end = torch.arange(films.shape[1]), place if until is None else until
    return films.masked_fill((at >= end) | (at < first_kept), 0), films.gather(1, place)[:, 0]


def _last(films: Tensor) -> Tensor:
    return (films != 0).sum(1, keepdim=True) - 1


SPLIT = Coding(
    name="one_user_many_interests.split",
    title="Spot the bug: the answer in the question",
    task=(
        "A script takes each user's last film as target, and reaches a recall that looks too good. A film may have "
        "been seen more than once. The code below does the same. Mend it, so that the history is what came before."
    ),
    stub='''def leave_last(films):
    """films (B, T) ids, oldest first, 0 for padding on the right -> history (B, T), target (B,)"""
    last = (films != 0).sum(dim=1, keepdim=True) - 1
    target = films.gather(1, last)[:, 0]
    history = films.clone()
    return history, target
''',
    solve=leave_last,
    cases=lambda: [
        dict(films=torch.tensor([[3, 8, 5, 3, 9, 3], [7, 2, 2, 4, 0, 0], [6, 1, 5, 0, 0, 0]])),
        dict(films=torch.tensor([[4, 9, 4, 1, 0, 0, 0], [2, 5, 8, 1, 6, 5, 8], [7, 3, 6, 6, 6, 0, 0],
                                 [9, 2, 7, 4, 3, 1, 0], [8, 1, 5, 0, 0, 0, 0]])),
    ],
    inputs={"films": "B T"},
    returns={"history": "B T", "target": "B"},
    differentiable=False,
    mend=True,
    hints=(
        "Print one user's history and target. What does a model have to do to be right?",
        "The target has to leave the history. Only its last viewing, though: an earlier one is known.",
        "torch.arange(T) == last is True at the last film's place, (B, T); masked_fill puts a 0 there.",
    ),
    properties=(
        Property(
            "Each history should be one film shorter than what the user saw.",
            lambda case, r: bool(((r[0] != 0).sum(1) == (case["films"] != 0).sum(1) - 1).all()),
        ),
        Property("No target should be 0: that is padding.", lambda case, r: bool((r[1] != 0).all())),
        Property(
            "Each target should be the user's latest film.",
            lambda case, r: bool((r[1] == case["films"].gather(1, _last(case["films"]))[:, 0]).all()),
        ),
        Property(
            "Each history should hold the films before the target, each in its place, and nothing later.",
            lambda case, r: bool((r[0] == _cut(case["films"], _last(case["films"]))[0]).all()),
        ),
    ),
    mistakes=(
        Mistake("The target still stands in the history: a model only has to repeat its last film.",
                lambda films: _cut(films, _last(films), until=_last(films) + 1)),
        Mistake("The target was taken out everywhere. The user saw it before as well, and that may be known.",
                lambda films: (films.masked_fill(films == films.gather(1, _last(films)), 0), leave_last(films)[1])),
        Mistake("The target is the last column: for a short history that is padding, 0.",
                lambda films: _cut(films, torch.full_like(films[:, :1], films.shape[1] - 1))),
        Mistake("The last column was cut off the history, not the last film: short histories keep their target.",
                lambda films: (films.masked_fill(torch.arange(films.shape[1]) == films.shape[1] - 1, 0),
                               leave_last(films)[1])),
        Mistake("The target is the film before the last one: that is the validation target. The history is cut there.",
                lambda films: _cut(films, _last(films) - 1)),
        Mistake("The target is the film before the last one, and the last one, the future, stands in the history.",
                lambda films: (films.masked_fill(torch.arange(films.shape[1]) == _last(films) - 1, 0),
                               films.gather(1, _last(films) - 1)[:, 0])),
        Mistake("The history ends one film too early: the validation target belongs to it in the test.",
                lambda films: _cut(films, _last(films), until=_last(films) - 1)),
        Mistake("The target is the first film, and its future is the history: time runs backwards.",
                lambda films: (films.masked_fill(torch.arange(films.shape[1]) == 0, 0), films[:, 0].clone())),
        Mistake("The target is the first film of each user. The last one left the history, but nobody asks for it.",
                lambda films: (leave_last(films)[0], films[:, 0].clone())),
        Mistake("The oldest film left the history; the target, the latest one, is still in it.",
                lambda films: (films.masked_fill(torch.arange(films.shape[1]) == 0, 0), leave_last(films)[1])),
        Mistake("All users are cut at the first user's last place.",
                lambda films: _cut(films, _last(films)[:1].expand(len(films), 1))),
        Mistake("The history has lost its first film as well as the target.",
                lambda films: _cut(films, _last(films), first_kept=1)),
        Mistake("The target is the largest id, not the latest film: ids say nothing about time.",
                lambda films: (leave_last(films)[0], films.amax(1))),
    ),
)  # fmt: skip


PROTOCOL = Parsons(
    name="one_user_many_interests.protocol",
    title="A fair contest, shuffled",
    task=(
        "These steps compare the best of several settings with a baseline, as the chapter does. They are shuffled, and "
        "one belongs nowhere. Put the others in order."
    ),
    lines={
        "A": "vectors = film_vectors(films, splits.training_rows)",
        "B": 'films = in_order_of_time(rows, ties="order of the file")',
        "C": "best = max(settings, key=lambda s: recall(s, vectors, splits.validation))",
        "D": "splits = leave_one_out(films)",
        "E": "best = max(settings, key=lambda s: recall(s, vectors, splits.test))",
        "F": "gain = paired_interval(hits(best, vectors, splits.test), hits(baseline, vectors, splits.test))",
    },
    order="BDACF",
    rules=(
        ("B", "D", "the last film is the target, so time and the order of ties come first."),
        ("D", "A", "film vectors may know the training rows only, and the split says which these are."),
        ("A", "C", "a setting is tried with the film vectors."),
        ("C", "F", "the choice is made on validation, before the test is looked at."),
    ),
    spare={"E": "a setting that is chosen by the test has seen the answers, and its recall there is flattered."},
    hints=(
        "What has to be fixed before anyone can say which film is the last?",
        "The test targets are used once, at the end, for both sides of the comparison.",
        "It begins with B and D and ends with F; E is the line to leave out.",
    ),
)

RESEARCH = Research(
    name="one_user_many_interests.yours",
    title="A research question: where do you stand on the map?",
    task=(
        "You have a log of your own: a shop, a library, a music site. Say *before training anything* whether several "
        "vectors a user would pay there, and design the measurement that would prove you wrong."
    ),
    hints=(
        "What crowds a space: many concepts, few dimensions, many tastes. Which can you estimate from a log?",
        "The mean and k-means of the history need item vectors only. What is the cheapest source of item vectors?",
        "A longer single vector is the rival. Compare at equal memory and at equal length of the list.",
    ),
    rubric=(
        (2, "estimates the crowding: concepts (clusters of items, categories), dimensions in use, tastes of a user"),
        (2, "compares one mean with K means and with a longer single vector, at equal list length"),
        (2, "states the protocol: order of time, ties, what is excluded, tuning on validation for every arm"),
        (
            2,
            "reports paired differences with an interval over users, beside popularity and item-to-item counts",
        ),
        (1, "looks at users with many tastes apart from those with one"),
        (1, "says before the run which result would prove the guess wrong"),
    ),
)

EXERCISES = (MEAN, GROUPS, NDCG, SPLIT, PROTOCOL, RESEARCH)

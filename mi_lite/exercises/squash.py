"""Exercises of chapter 2: squash, its gradient by hand, its axis, and what a capsule's length says of its votes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mi_lite.exercises.bank import after, without
from mi_lite.exercises.cases import source
from mi_lite.exercises.forms import Case, Coding, Function, Mistake, Parsons, Property, Research


def _near(a: Tensor, b: Tensor) -> bool:
    return bool(torch.allclose(a.double(), b.double(), rtol=1e-3, atol=1e-4))


def _size(s: Tensor) -> Tensor:
    """Lengths of the vectors in the last dimension, kept with size 1."""
    return s.norm(dim=-1, keepdim=True)


# ---- squash itself ----


def bend(s: Tensor) -> Tensor:
    n = s.norm(dim=1, keepdim=True)
    return n / (1 + n**2) * s


def _vectors(seed: int, B: int, D: int) -> Tensor:
    """``(B, D)``: a short one, a zero vector, one of length 4, one of length 1, then shorter and longer ones."""
    s = normalize(torch.randn(B, D, generator=source(seed)), dim=1)
    return s * torch.tensor([0.3, 0.0, 4.0, 1.0, 2.0, 0.1, 12.0][:B])[:, None]


def _by(length: Function) -> Function:
    """The direction of ``s`` with another new length, a function of the old one."""
    return lambda s: normalize(s, dim=1) * length(_size(s))


FORMULA = Coding(
    name="squash.formula",
    title="Squash, with a zero in it",
    task=(
        "Squash one capsule a user, [(2.4)](#eq-squash): keep the direction, make the length $n^2/(1+n^2)$. Some users "
        "have no votes yet, so their sum is exactly zero. It has to stay zero. Don't call the chapter's `squash`."
    ),
    stub='''def bend(s):
    """s (B, D), some rows zero -> capsules (B, D)"""
    ...
''',
    solve=bend,
    cases=lambda: [dict(s=_vectors(0, 5, 3)), dict(s=_vectors(1, 7, 4))],
    inputs={"s": "B D"},
    returns={"capsules": "B D"},
    hints=(
        "Which dimension holds the numbers of one vector? Its length needs keepdim=True to be multiplied back.",
        "The formula divides by n, and then multiplies by n². Shorten the fraction: where is n = 0 a trouble now?",
        "n = s.norm(dim=1, keepdim=True), and the factor in front of s is f(n)/n = n / (1 + n²).",
    ),
    properties=(
        Property("The zero vector should stay the zero vector.", lambda case, v: bool((v[1] == 0).all())),
        Property(
            "A vector of length 1 should come out with length ½.",
            lambda case, v: _near(v[3].norm(), torch.tensor(0.5)),
        ),
        Property(
            "No capsule should be longer than 1.", lambda case, v: bool((v.norm(dim=1) < 1 + 1e-5).all())
        ),
        Property(
            "A capsule should point where its sum s points: only the length changes.",
            lambda case, v: _near(normalize(v, dim=1), normalize(case["s"], dim=1)),
        ),
    ),
    mistakes=(
        Mistake(
            "The zero vector gives NaN: s / n is 0/0 there. Shorten the fraction, so that nothing is divided by n.",
            lambda s: _size(s) ** 2 / (1 + _size(s) ** 2) * s / _size(s),
        ),
        Mistake(
            "The new length n²/(1+n²) multiplies s itself, not its direction s/n, so long vectors stay long.",
            lambda s: _size(s) ** 2 / (1 + _size(s) ** 2) * s,
        ),
        Mistake(
            "You divide by the squared length: s/n² is no direction, its length is 1/n. The direction is s/n.",
            lambda s: s / (1 + _size(s) ** 2),
        ),
        Mistake("The new length is n/(1+n): the squares are missing.", _by(lambda n: n / (1 + n))),
        Mistake("Every vector has length 1 now. Squash keeps short ones short.", lambda s: normalize(s, dim=1)),
        Mistake("The constant is ½. That is a variant; the paper's has 1: n²/(1+n²).",
                _by(lambda n: n**2 / (0.5 + n**2))),
        Mistake("The new length is the square root of what it should be: the variant `root`, n/√(1+n²).",
                _by(lambda n: n / (1 + n**2).sqrt())),
        Mistake("The new length is tanh(n). It stays below 1 as well, but it does not press short vectors down.",
                _by(torch.tanh)),
        Mistake("The new length is 1 − exp(−n): the variant `exponential`.", _by(lambda n: 1 - torch.exp(-n))),
        Mistake(
            "The numbers are squashed one by one. That turns the vector; squash works on its length.",
            lambda s: s.square() / (1 + s.square()) * s.sign(),
        ),
        Mistake(
            "The length is taken over the users (dim=0), so they depend on each other. It runs over D, dim=1.",
            lambda s: s.norm(dim=0, keepdim=True) / (1 + s.norm(dim=0, keepdim=True) ** 2) * s,
        ),
        Mistake(
            "One length was taken for the whole batch: norm without dim. Each user's vector has its own.",
            lambda s: s.norm() / (1 + s.norm() ** 2) * s,
        ),
        Mistake(
            "The length is the sum of absolute values. It should be the Euclidean one: the root of the sum of squares.",
            lambda s: normalize(s, dim=1) * (lambda n: n**2 / (1 + n**2))(s.abs().sum(1, keepdim=True)),
        ),
        Mistake(
            "The squares were averaged over D, not summed: the more dimensions, the shorter your vectors seem.",
            lambda s: normalize(s, dim=1) * (lambda q: q / (1 + q))(s.square().mean(1, keepdim=True)),
        ),
        Mistake("Squashed twice: the length that comes out was bent once more.", after(bend, bend)),
    ),
)  # fmt: skip


# ---- the gradient by hand ----


def backward(s: Tensor, g: Tensor) -> Tensor:
    n = s.norm(dim=1, keepdim=True)
    unit = s / n.clamp_min(1e-12)
    along = (g * unit).sum(dim=1, keepdim=True) * unit
    return 2 * n / (1 + n**2) ** 2 * along + n / (1 + n**2) * (g - along)


def _backward_case(seed: int, B: int, D: int) -> Case:
    """User 1: s is zero. 2: g along s. 3: g at right angles to s. The others: neither."""
    s, g = _vectors(seed, B, D), torch.randn(B, D, generator=source(seed + 10))
    s[2:4] *= torch.tensor([[0.2], [0.7]])
    g[2] = -2 * normalize(s[2], dim=0)
    g[3] -= (g[3] @ s[3]) / (s[3] @ s[3]) * s[3]
    return dict(s=s, g=g)


def _slopes(
    radial: Function, tangential: Function, unit: Function = lambda s: normalize(s, dim=1), over: int = 1
) -> Function:
    """(2.5) with other slopes, another direction, or inner products over another dimension."""

    def wrong(s: Tensor, g: Tensor) -> Tensor:
        n, u = _size(s), unit(s)
        along = (g * u).sum(over, keepdim=True) * u
        return radial(n) * along + tangential(n) * (g - along)

    return wrong


def _radial(n: Tensor) -> Tensor:
    return 2 * n / (1 + n**2) ** 2


def _tangential(n: Tensor) -> Tensor:
    return n / (1 + n**2)


BACKWARD = Coding(
    name="squash.backward",
    title="Back through squash, by hand",
    task=(
        "A loss sends the gradient `g` to the capsules. Send it on to `s`, without autograd: multiply it by the "
        "Jacobian [(2.5)](#eq-squash-jacobian), with the slopes [(2.6)](#eq-squash-slopes). Don't build a matrix: "
        "split `g` into the part along `s` and the rest. Where `s` is zero, nothing comes back."
    ),
    stub='''def backward(s, g):
    """s (B, D), g (B, D): gradient of the loss at squash(s) -> gradient at s (B, D)"""
    ...
''',
    solve=backward,
    cases=lambda: [_backward_case(0, 5, 3), _backward_case(1, 7, 4)],
    inputs={"s": "B D", "g": "B D"},
    returns={"gradients": "B D"},
    hints=(
        "With u = s/n, the matrix s sᵀ/n² turns g into (u · g) u: the part of g along s.",
        "The part along s is multiplied by the radial slope, what is left of g by the tangential one.",
        "u = s / n.clamp_min(1e-12); along = (g * u).sum(1, keepdim=True) * u; then two slopes, two parts, one sum.",
    ),
    properties=(
        Property("Where s is zero, no gradient should come back.", lambda case, d: _near(d[1], torch.zeros(()))),
        Property(
            "A g at right angles to s should be multiplied by the tangential slope n/(1+n²); user 3 has such a g.",
            lambda case, d: _near(d[3], _tangential(_size(case["s"][3])) * case["g"][3]),
        ),
        Property(
            "A g along s should be multiplied by the radial slope 2n/(1+n²)²; user 2 has such a g.",
            lambda case, d: _near(d[2], _radial(_size(case["s"][2])) * case["g"][2]),
        ),
    ),
    mistakes=(
        Mistake("The two slopes are swapped: the radial one, 2n/(1+n²)², belongs to the part along s.",
                _slopes(_tangential, _radial)),
        Mistake("The part of g that turns the vector is missing: only what lies along s comes back.",
                _slopes(_radial, lambda n: 0 * n)),
        Mistake("The part of g along s is missing: only what turns the vector comes back.",
                _slopes(lambda n: 0 * n, _tangential)),
        Mistake("The tangential slope multiplies all of g; take the part along s out of it first.",
                lambda s, g: _slopes(_radial, _tangential)(s, g)
                + _tangential(_size(s)) * (g * normalize(s, dim=1)).sum(1, keepdim=True) * normalize(s, dim=1)),
        Mistake("The radial slope lacks a square: it is 2n/(1+n²)², with the denominator squared.",
                _slopes(lambda n: 2 * n / (1 + n**2), _tangential)),
        Mistake("The radial slope lacks its 2: the derivative of n² is 2n.",
                _slopes(lambda n: n / (1 + n**2) ** 2, _tangential)),
        Mistake("The tangential factor is f(n) = n²/(1+n²), the new length. It should be f(n)/n: a long vector's tip "
                "has a longer way to turn.", _slopes(_radial, lambda n: n**2 / (1 + n**2))),
        Mistake("The projection uses s, not s/n: it is n² times too large, which is right for length 1 alone.",
                _slopes(_radial, _tangential, unit=lambda s: s)),
        Mistake("g was multiplied by f(n)/n alone: as if the factor did not depend on s.",
                _slopes(_tangential, _tangential)),
        Mistake("g was multiplied by f'(n) alone: as if squash worked number by number.", _slopes(_radial, _radial)),
        Mistake("The gradient went through unchanged.", lambda s, g: g.clone()),
        Mistake("This is squash(g). The gradient at s is linear in g.", lambda s, g: bend(g)),
        Mistake("g was projected over the users (dim=0). The inner product of g and s/n runs over D, dim=1.",
                _slopes(_radial, _tangential, over=0)),
        Mistake("The zero vector gives NaN: s / n is 0/0 there. n.clamp_min(1e-12) below the line is enough.",
                _slopes(_radial, _tangential, unit=lambda s: s / _size(s))),
    ),
)  # fmt: skip


# ---- the wrong axis ----


def squash_interests(s: Tensor, interest_mask: Tensor) -> Tensor:
    n = s.norm(dim=2, keepdim=True)
    capsules = n / (1 + n**2) * s
    return capsules * interest_mask[:, :, None]


def _axis_cases() -> list[Case]:
    cases = []
    for seed, (B, K, D) in enumerate(((3, 4, 5), (5, 3, 2))):
        number = torch.tensor([K, *(max(1, K - b) for b in range(1, B))])
        mask = torch.arange(K)[None] < number[:, None]
        s = 1.5 * torch.randn(B, K, D, generator=source(seed))
        cases.append(dict(s=torch.where(mask[:, :, None], s, 20 * s), interest_mask=mask))
    return cases


def _over(dim: int | tuple[int, ...], mask_first: bool = False) -> Function:
    def wrong(s: Tensor, interest_mask: Tensor) -> Tensor:
        s = s * interest_mask[:, :, None] if mask_first else s
        n = torch.linalg.vector_norm(s, dim=dim, keepdim=True)
        return n / (1 + n**2) * s * interest_mask[:, :, None]

    return wrong


def _bent(change: Function) -> Function:
    """Another vector for each sum ``s``, masked as it should be."""
    return lambda s, interest_mask: change(s) * interest_mask[:, :, None]


AXIS = Coding(
    name="squash.axis",
    title="Spot the bug: interests that leak",
    task=(
        "Readers of a public capsule network ask which axis its squash should run over (gram-ai/capsule-networks, "
        "issues 14 and 32). The layer below runs over the wrong one: the shape is right, and each interest depends on "
        "the others. Mend it. Interests that the user does not have come out as zero."
    ),
    stub='''def squash_interests(s, interest_mask):
    """s (B, K, D), interest_mask (B, K), True where the user has the interest -> capsules (B, K, D)"""
    n = s.norm(dim=1, keepdim=True)
    capsules = n / (1 + n**2) * s
    return capsules * interest_mask[:, :, None]
''',
    solve=squash_interests,
    cases=_axis_cases,
    inputs={"s": "B K D", "interest_mask": "B K"},
    returns={"capsules": "B K D"},
    mend=True,
    hints=(
        "Change interest 2 of one user and look at her interest 0. It should not move.",
        "Write the shape of n beside its line. How many lengths should a user with K interests have?",
        "n should be (B, K, 1): one length for each user and interest, over the D numbers of its vector.",
    ),
    properties=(
        Property(
            "An interest that the user does not have should be the zero vector.",
            lambda case, v: bool((v[~case["interest_mask"]] == 0).all()),
        ),
        Property("No capsule should be longer than 1.", lambda case, v: bool((v.norm(dim=2) < 1 + 1e-5).all())),
        Property(
            "A capsule should point where its sum s points: only the length changes.",
            lambda case, v: _near(
                normalize(v, dim=2)[case["interest_mask"]], normalize(case["s"], dim=2)[case["interest_mask"]]
            ),
        ),
        Property(
            "The new lengths should be n²/(1+n²), of each interest's own n.",
            lambda case, v: _near(
                v.norm(dim=2)[case["interest_mask"]],
                1 - 1 / (1 + case["s"].square().sum(2))[case["interest_mask"]],
            ),
        ),
    ),
    mistakes=(
        Mistake("The length still runs over the interests (dim=1): each depends on the others. It runs over D.",
                _over(1)),
        Mistake("Masking first keeps absent interests out, but the length still runs over the interests (dim=1).",
                _over(1, mask_first=True)),
        Mistake("The length runs over the users (dim=0): who else is in the batch changes a user's interests.",
                _over(0)),
        Mistake("One length for all K interests of a user (dim=(1, 2)). Each interest has its own.", _over((1, 2))),
        Mistake("One length for the whole batch: norm without dim.", _over((0, 1, 2))),
        Mistake("The mask is not used: interests that the user does not have stay.",
                without(squash_interests, interest_mask=torch.ones_like)),
        Mistake("The mask is the wrong way round: it is True where the user *has* the interest.",
                without(squash_interests, interest_mask=torch.logical_not)),
        Mistake("Interests that the user does not have are −∞. That is for scores before a softmax or a maximum; a "
                "vector that is not there is zero.",
                lambda s, interest_mask: squash_interests(s, torch.ones_like(interest_mask)).masked_fill(
                    ~interest_mask[:, :, None], -torch.inf)),
        Mistake("The squash is gone: the sums s come out as they went in.", _bent(lambda s: s)),
        Mistake("Every capsule has length 1 now. Squash keeps short ones short.", _bent(lambda s: normalize(s, dim=2))),
        Mistake("The new length n²/(1+n²) multiplies s itself; the factor in front of s is n/(1+n²).",
                _bent(lambda s: _size(s) ** 2 / (1 + _size(s) ** 2) * s)),
        Mistake("The factor in front of s is 1/(1+n²): the length n above the line is missing.",
                _bent(lambda s: s / (1 + _size(s) ** 2))),
        Mistake("The numbers are squashed one by one. Squash works on the length of a vector and keeps its direction.",
                _bent(lambda s: s.abs() / (1 + s.square()) * s)),
    ),
)  # fmt: skip


# ---- what the length says ----


def capsule_length(count: Tensor, rho: Tensor) -> Tensor:
    squared = count + count * (count - 1) * rho
    return squared / (1 + squared)


def _squashed(squared: Function) -> Function:
    """n²/(1+n²) of another n²."""
    return lambda count, rho: squared(count, rho) / (1 + squared(count, rho))


def _where(chosen: Tensor, lengths: Tensor, right: Tensor) -> bool:
    return _near(lengths[chosen], right[chosen])


AGREEMENT = Coding(
    name="squash.agreement",
    title="How long will the capsule be?",
    task=(
        "For each user you know how many films vote, `count`, and the mean cosine `rho` between two of them. The films "
        "are unit vectors, and all weigh 1. Give the length of the capsule: [(2.7)](#eq-squash-agreement), then squash."
    ),
    stub='''def capsule_length(count, rho):
    """count (B,) whole numbers, rho (B,) mean cosine of two films -> length of the capsule (B,)"""
    ...
''',
    solve=capsule_length,
    cases=lambda: [
        dict(count=torch.tensor([3, 2, 5, 1, 8, 4]), rho=torch.tensor([0.3, 1.0, 0.0, 0.4, 0.6, -0.2])),
        dict(count=torch.tensor([4, 3, 6, 2, 12, 3, 20, 1]), rho=torch.tensor([0.5, 1, 0, -0.5, 0.2, -0.3, 0.1, 0.9])),
    ],
    inputs={"count": "B", "rho": "B"},
    returns={"lengths": "B"},
    hints=(
        "The squared length of a sum is the sum of all inner products, each film with each film and with itself.",
        "k films give k products of 1 and k(k − 1) of rho on the average. That sum is n², not n.",
        "Squash makes n²/(1 + n²) of it: no square root is needed at all.",
    ),
    properties=(
        Property(
            "One film alone gives a capsule of ½, whatever rho is.",
            lambda case, v: _where(case["count"] == 1, v, torch.full_like(case["rho"], 0.5)),
        ),
        Property(
            "Films that agree perfectly (rho = 1) give a sum of length k, so a capsule of k²/(1+k²).",
            lambda case, v: _where(case["rho"] == 1, v, case["count"] ** 2 / (1 + case["count"] ** 2)),
        ),
        Property(
            "Unrelated films (rho = 0) give a sum of length √k, so a capsule of k/(1+k).",
            lambda case, v: _where(case["rho"] == 0, v, case["count"] / (1 + case["count"])),
        ),
    ),
    mistakes=(
        Mistake("This is n, the length of the sum. The capsule is squashed: n²/(1+n²).",
                lambda count, rho: (count + count * (count - 1) * rho).sqrt()),
        Mistake("This is n², the squared length of the sum. The capsule is squashed: n²/(1+n²).",
                lambda count, rho: count + count * (count - 1) * rho),
        Mistake("The squash is n/(1+n) here; its n is squared, above and below.",
                lambda count, rho: 1 - 1 / (1 + (count + count * (count - 1) * rho).sqrt())),
        Mistake("You squared n² once more: k + k(k−1)ρ is n² already, (2.7) takes its root.",
                _squashed(lambda count, rho: (count + count * (count - 1) * rho) ** 2)),
        Mistake("k² pairs count each film with itself at rho. With itself its product is 1: there are k(k−1) others.",
                _squashed(lambda count, rho: count + count**2 * rho)),
        Mistake("Each film's product with itself is missing: those k ones.",
                _squashed(lambda count, rho: count * (count - 1) * rho)),
        Mistake("Each pair counts twice in the squared length: film 1 with 2, and 2 with 1. You took half of them.",
                _squashed(lambda count, rho: count + count * (count - 1) / 2 * rho)),
        Mistake("rho is not used: this is the capsule of films that have nothing to do with each other.",
                _squashed(lambda count, rho: count + 0 * rho)),
        Mistake("rho is not used: this is the capsule of films that agree perfectly.",
                _squashed(lambda count, rho: count**2 + 0 * rho)),
        Mistake("This is the capsule of the mean. A capsule sums its votes; that is why more of them make it longer.",
                _squashed(lambda count, rho: (count + count * (count - 1) * rho) / count**2)),
        Mistake("The length of the sum is not k times rho. Unrelated films (rho = 0) still sum up to √k.",
                _squashed(lambda count, rho: (count * rho) ** 2)),
        Mistake("The capsule's length is not rho: it grows with the number of films, too.",
                lambda count, rho: rho.clone()),
        Mistake("The square root stands around the squash: n²/(1+n²) itself is the length.",
                lambda count, rho: capsule_length(count, rho).sqrt()),
    ),
)  # fmt: skip


STABLE = Parsons(
    name="squash.stable",
    title="A squash for every float, shuffled",
    task=(
        "These lines are the body of a squash that neither overflows nor divides by zero, shuffled. One belongs "
        "nowhere. Put the others in order. `tiny` is the smallest positive number."
    ),
    lines={
        "A": "return f * u",
        "B": "u = t / torch.where(m > 0, m, 1.0)",
        "C": "scale = s.abs().amax(dim, keepdim=True).clamp_min(tiny)",
        "D": "n = s.square().sum(dim, keepdim=True).sqrt()",
        "E": "f = torch.where(n < 1, n.clamp(max=1)**2 / (1 + n.clamp(max=1)**2), 1 / (1 + n.clamp(min=1)**-2))",
        "F": "m = t.norm(dim=dim, keepdim=True)",
        "G": "n = (s * u).sum(dim, keepdim=True)",
        "H": "t = s / scale",
    },
    order="CHFBGEA",
    rules=(
        ("C", "H", "the vector is divided by its largest entry, so that entry is found first."),
        ("H", "F", "the length m is that of the scaled vector t: its squares neither overflow nor vanish."),
        ("F", "B", "the direction u is t divided by its length."),
        ("B", "G", "n is the product of s with its own direction u."),
        ("G", "E", "the new length f is made from n."),
        ("E", "A", "what is returned needs f."),
    ),
    spare={"D": "squares of the numbers as they are overflow at 10²⁰ and vanish at 10⁻³⁰ in float32."},
    hints=(
        "Two things are made one after the other: the direction u, then the new length f.",
        "A direction needs no large squares if the vector is first divided by its largest entry.",
        "It begins with C, H, F and ends with A; D is the line to leave out.",
    ),
)

RESEARCH = Research(
    name="squash.length",
    title="A research question: does the length carry anything?",
    task=(
        "A reader of a public capsule network reports the same accuracy without any squash (bojone/Capsule, issue 3). "
        "Design an experiment that tells whether a *recommender* uses the length of its interests, or only their "
        "direction. State what would change your mind before you run it."
    ),
    hints=(
        "What could the length do that the direction can't? Think of two interests of one user in one list.",
        "You can set all lengths to 1 in training, in serving, or in both. These are three different questions.",
        "Who should notice? Users whose interests differ much in size; for one interest a length changes no ranking.",
    ),
    rubric=(
        (2, "separates training from serving: lengths removed in one, in the other, in both"),
        (2, "measures where a length can matter: the smaller interest's share of the list, and recall for its films"),
        (2, "has a control in which lengths must not matter (users with one interest), and checks that they don't"),
        (2, "tunes scale and step size for each arm, since slopes at zero differ; five seeds, paired"),
        (1, "looks at the lengths themselves: are they all near 1 anyway?"),
        (1, "says before the run which result would speak against the idea"),
    ),
)

EXERCISES = (FORMULA, BACKWARD, AXIS, AGREEMENT, STABLE, RESEARCH)

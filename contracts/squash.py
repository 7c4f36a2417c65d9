"""Contracts of chapter 2: neurons, capsules, squash."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace

import torch
from torch import Tensor

from contracts import Chapter, close, contract, draw, unsquash
from mi_lite import capsules
from mi_lite.models import SingleVector
from mi_lite.routing import b2i_routing, dynamic_routing

CHAPTER = Chapter("02_squash")


# --------------------------------------------------------------------------------------------------- neuron and capsule


def packages_neuron(x: Tensor, w: Tensor, b: float) -> Tensor:
    """The first layer that projects an interest, with one output."""
    layer, bend = SingleVector(1, len(x), hidden=1).double().project[:2]
    with torch.no_grad():
        layer.weight.copy_(w[None])
        layer.bias.fill_(b)
        return bend(layer(x))[0]


def bent_before_adding(x: Tensor, w: Tensor, b: float) -> Tensor:
    """Bends every input before it is added."""
    return torch.sigmoid(w * x).sum() + b


@contract(
    "eq-squash-neuron",
    "A neuron sees its inputs only through one weighted sum: inputs with the same sum give the same number, the "
    "bent sum.",
    package=SimpleNamespace(neuron=packages_neuron, bend=torch.relu),
    chapter=SimpleNamespace(neuron=CHAPTER.neuron, bend=torch.sigmoid),
    wrong=SimpleNamespace(neuron=bent_before_adding, bend=torch.sigmoid, __doc__=bent_before_adding.__doc__),
)
def neuron(code: SimpleNamespace) -> None:
    for seed in range(10):
        x, w, b = draw(5, seed=seed), draw(5, seed=50 + seed), 0.3
        h = code.neuron(x, w, b)
        a = torch.tensor(sum(float(p) * float(q) for p, q in zip(w, x, strict=True)) + b, dtype=torch.float64)
        close(h, code.bend(a))
        across = torch.stack([-w[1], w[0]])  # at right angles to the first two weights
        close(code.neuron(torch.cat([x[:2] + across, x[2:]]), w, b), h)


def packages_votes(u: Tensor, W: Tensor) -> Tensor:
    """Votes (I, D_out), each through a capsule that hears this vote alone."""
    return torch.stack(
        [unsquash(b2i_routing(x[None, None], w, 1, iterations=1).interests[0, 0]) for x, w in zip(u, W, strict=True)]
    )


def chapters_votes(u: Tensor, W: Tensor) -> Tensor:
    one = torch.ones(1, dtype=u.dtype)
    return torch.stack([unsquash(CHAPTER.capsule(u[i : i + 1], W[i : i + 1], one)) for i in range(len(u))])


def transposed(u: Tensor, W: Tensor) -> Tensor:
    """Multiplies from the other side, so that the matrix is transposed."""
    return torch.einsum("ido,id->io", W, u)


@contract(
    "eq-squash-vote",
    "A vote is the input's own matrix times the input: it doubles with the input, and no other input changes it.",
    package=packages_votes,
    chapter=chapters_votes,
    wrong=transposed,
)
def votes(vote: Callable[[Tensor, Tensor], Tensor]) -> None:
    u, W = draw(4, 5), draw(4, 5, 5, seed=1)
    found = vote(u, W)
    for i in range(4):
        close(found[i], torch.stack([(row * u[i]).sum() for row in W[i]]))
    close(vote(2 * u, W), 2 * found)
    other = u.clone()
    other[1:] = draw(3, 5, seed=2)
    close(vote(other, W)[0], found[0])


def packages_capsule(votes: Tensor, c: Tensor) -> Tensor:
    """Squash of the weighed votes, with the weights as a softmax over the inputs."""
    return dynamic_routing(
        votes[None, :, None], logits=c.log()[None, :, None], iterations=1, axis="behaviors"
    ).interests[0, 0]


def chapters_capsule(votes: Tensor, c: Tensor) -> Tensor:
    return CHAPTER.capsule(votes, torch.eye(votes.shape[1], dtype=votes.dtype).expand(len(votes), -1, -1), c)


def unweighted(votes: Tensor, c: Tensor) -> Tensor:
    """Averages the votes and leaves the weights out."""
    return capsules.squash(votes.mean(0))


@contract(
    "eq-squash-sum",
    "The sum of a capsule weighs each vote by its own weight, and the order of the votes plays no part.",
    package=packages_capsule,
    chapter=chapters_capsule,
    wrong=unweighted,
)
def weighed_sum(capsule: Callable[[Tensor, Tensor], Tensor]) -> None:
    votes, c = draw(6, 4), draw(6, seed=1).softmax(0)
    s = unsquash(capsule(votes, c))
    close(s, torch.stack([float(w) * v for w, v in zip(c, votes, strict=True)]).sum(0))
    close(unsquash(capsule(votes.flip(0), c.flip(0))), s)


# --------------------------------------------------------------------------------------------------------------- squash


def with_a_half(s: Tensor) -> Tensor:
    """Has one half where the formula has 1."""
    return capsules.squash(s, variant="half")


@contract(
    "eq-squash",
    "Squash keeps the direction and turns length n into n²/(1+n²): 1 becomes one half, no vector becomes longer "
    "than 1, and zero stays zero.",
    package=capsules.squash,
    chapter=CHAPTER.squash,
    wrong=with_a_half,
)
def squashed(squash: Callable[[Tensor], Tensor]) -> None:
    direction = draw(3, 7)
    direction = direction / direction.norm(dim=1, keepdim=True)
    for n in (1e-3, 0.5, 1.0, 2.0, 1e3):
        close(squash(n * direction), n**2 / (1 + n**2) * direction)
    assert squash(torch.tensor([1e20, 0.0])).norm() <= 1
    zero = torch.zeros(4, requires_grad=True)
    squash(zero).sum().backward()
    assert (squash(zero) == 0).all() and torch.isfinite(zero.grad).all()


def number_by_number(s: Tensor) -> Tensor:
    """Squashes each number of the vector on its own."""
    return s.sign() * s**2 / (1 + s**2)


@contract(
    "eq-squash-jacobian",
    "A small nudge along the vector is multiplied by the slope of the new length, a nudge sideways by new length "
    "over length, and neither turns into the other.",
    package=capsules.squash,
    chapter=CHAPTER.squash,
    wrong=number_by_number,
)
def jacobian(squash: Callable[[Tensor], Tensor]) -> None:
    for seed, n in enumerate((0.3, 1.0, 2.5)):
        d, side, third = torch.linalg.qr(draw(4, 3, seed=seed)).Q.T

        def length(n: float, d: Tensor = d) -> float:
            return float(squash(n * d).norm())

        nudged = torch.autograd.functional.jacobian(squash, n * d)
        slope = (length(n + 1e-5) - length(n - 1e-5)) / 2e-5
        close(nudged @ d, slope * d, rtol=1e-6, atol=1e-8)
        for sideways in (side, third):
            close(nudged @ sideways, length(n) / n * sideways, rtol=1e-6, atol=1e-8)


def packages_slopes(n: float) -> tuple[float, float]:
    s = torch.tensor([n, 0.0], dtype=torch.float64)
    found = torch.autograd.functional.jacobian(capsules.squash, s)
    return float(found[0, 0]), float(found[1, 1])


def slope_without_square(n: float) -> tuple[float, float]:
    """Forgets the square in the denominator of the radial slope."""
    return 2 * n / (1 + n**2), n / (1 + n**2)


@contract(
    "eq-squash-slopes",
    "Both slopes are zero at the origin; the radial one is the derivative of n²/(1+n²), the sideways one that "
    "length over n, and neither is ever above 0.65.",
    package=packages_slopes,
    chapter=CHAPTER.squash_slopes,
    wrong=slope_without_square,
)
def slopes(slopes_at: Callable[[float], tuple[float, float]]) -> None:
    def new(n: float) -> float:
        return n**2 / (1 + n**2)

    for n in (0.01, 0.5, 3**-0.5, 1.0, 4.0):
        radial, sideways = slopes_at(n)
        assert math.isclose(radial, (new(n + 1e-6) - new(n - 1e-6)) / 2e-6, rel_tol=1e-6)
        assert math.isclose(sideways, new(n) / n, rel_tol=1e-9)
        assert max(radial, sideways) < 0.65
    assert tuple(slopes_at(0.0)) == (0, 0)


# ------------------------------------------------------------------------------------------------------------ agreement


def mean_of_votes(films: Tensor) -> Tensor:
    """Lets the weights sum to one over the films, so that the sum is a mean."""
    return b2i_routing(films[None], None, 1, iterations=1, axis="behaviors").interests[0, 0]


@contract(
    "eq-squash-agreement",
    "The sum of k unit vectors is as long as the root of k + k(k−1) times their mean cosine: k where all agree, the"
    " root of k where they are at right angles.",
    package=lambda films: b2i_routing(films[None], None, 1, iterations=1).interests[0, 0],
    chapter=lambda films: chapters_capsule(films, torch.ones(len(films), dtype=films.dtype)),
    wrong=mean_of_votes,
)
def agreement(capsule: Callable[[Tensor], Tensor]) -> None:
    def length(films: Tensor) -> float:
        return float(unsquash(capsule(films)).norm())

    for k in (2, 5, 9):
        films = draw(k, 12, seed=k) + 0.8
        films = films / films.norm(dim=1, keepdim=True)
        pairs = [float(a @ b) for i, a in enumerate(films) for b in films[:i]]
        rho = sum(pairs) / len(pairs)
        assert math.isclose(length(films), math.sqrt(k + k * (k - 1) * rho), rel_tol=1e-6)
        assert math.isclose(length(films[:1].expand(k, -1)), k, rel_tol=1e-6)
        assert math.isclose(length(torch.eye(12, dtype=films.dtype)[:k]), math.sqrt(k), rel_tol=1e-6)

"""squash and lengths: hand-worked values, an independent version in long double, and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_lite.capsules import SQUASHES, lengths, squash

FLOATS = (torch.float32, torch.float64)
FLAT = ("paper", "epsilon", "half")  # slope 0 at the origin
STEEP = ("root", "exponential")  # slope 1 at the origin
every_variant = pytest.mark.parametrize("variant", SQUASHES)
every_dtype = pytest.mark.parametrize("dtype", FLOATS)


def oracle(s: np.ndarray, axis: int = -1, variant: str = "paper") -> np.ndarray:
    """The formulas as printed, in long double (range and precision to spare), zero where they read 0/0."""
    s = s.astype(np.longdouble)
    n = np.sqrt((s * s).sum(axis=axis, keepdims=True))
    new = {
        "paper": n**2 / (1 + n**2),
        "epsilon": n**2 / (1 + n**2) * n / np.sqrt(n**2 + np.longdouble("1e-9")),
        "half": n**2 / (np.longdouble(1) / 2 + n**2),
        "root": np.sqrt(n**2 / (1 + n**2)),
        "exponential": -np.expm1(-n),
        "unit": np.where(n > 0, np.longdouble(1), np.longdouble(0)),
    }[variant]
    return (new * s / np.where(n > 0, n, 1)).astype(np.float64)


def vectors(least: float = -1e6, most: float = 1e6, dim: int = 4) -> st.SearchStrategy[list[list[float]]]:
    # below 1e-100 the oracle's own squares would vanish where long double is no longer than double (macOS)
    number = st.floats(least, most).map(lambda x: x if abs(x) > 1e-100 else 0.0)
    return st.lists(st.lists(number, min_size=dim, max_size=dim), min_size=1, max_size=5)


# Hand-worked values


def test_a_vector_worked_by_hand() -> None:
    # |(3, 4)| = 5, so the factor is 25/26 and the direction (3/5, 4/5)
    torch.testing.assert_close(squash(torch.tensor([3.0, 4.0])), torch.tensor([15 / 26, 20 / 26]))


@pytest.mark.parametrize(
    ("variant", "at_one_half", "at_one", "at_three"),
    [
        ("paper", 1 / 5, 1 / 2, 9 / 10),
        ("epsilon", 1 / 5, 1 / 2, 9 / 10),
        ("half", 1 / 3, 2 / 3, 18 / 19),
        ("root", 1 / math.sqrt(5), 1 / math.sqrt(2), 3 / math.sqrt(10)),
        ("exponential", 1 - math.exp(-0.5), 1 - math.exp(-1), 1 - math.exp(-3)),
        ("unit", 1.0, 1.0, 1.0),
    ],
)
def test_new_lengths_worked_by_hand(variant: str, at_one_half: float, at_one: float, at_three: float) -> None:
    s = torch.tensor([[0.0, 0.5], [0.0, -1.0], [3.0, 0.0]], dtype=torch.float64)
    expected = torch.tensor([[0.0, at_one_half], [0.0, -at_one], [at_three, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(squash(s, variant=variant), expected, rtol=1e-8, atol=0)


def test_epsilon_is_the_cube_of_a_length_far_below_its_root() -> None:
    new = squash(torch.tensor([1e-7, 0.0], dtype=torch.float64), variant="epsilon")
    assert new[0] == pytest.approx(1e-21 / math.sqrt(1e-9), rel=1e-4)


def test_lengths_worked_by_hand() -> None:
    s = torch.tensor([[3.0, -4.0], [0.0, 0.0], [6e30, 8e30], [6e-30, 8e-30]])
    torch.testing.assert_close(lengths(s), torch.tensor([[5.0], [0.0], [1e31], [1e-29]]), rtol=1e-6, atol=0)
    assert lengths(s, dim=0).shape == (1, 2)


# Against the independent version


@every_variant
@settings(max_examples=60, deadline=None)
@given(rows=vectors())
def test_equals_the_printed_formula(variant: str, rows: list[list[float]]) -> None:
    s = torch.tensor(rows, dtype=torch.float64)
    np.testing.assert_allclose(squash(s, variant=variant).numpy(), oracle(s.numpy(), variant=variant), rtol=1e-12)


@every_variant
@every_dtype
@pytest.mark.parametrize("exponent", [-20, -10, -5, -3, -1, 0, 1, 3, 5, 10, 18, 20])
def test_equals_the_printed_formula_at_every_scale(variant: str, dtype: torch.dtype, exponent: int) -> None:
    s = torch.tensor([[1.0, -2.0, 0.5], [0.0, 3.0, 0.0]], dtype=torch.float64) * 10.0**exponent
    s = s.to(dtype)
    expected = torch.from_numpy(oracle(s.numpy(), variant=variant)).to(dtype)
    tolerance = 64 * torch.finfo(dtype).eps
    atol = 4 * torch.finfo(dtype).tiny  # what lies below has fewer digits
    torch.testing.assert_close(squash(s, variant=variant), expected, rtol=tolerance, atol=atol)


# Properties of the length and the direction


@every_variant
@every_dtype
@settings(max_examples=60, deadline=None)
@given(rows=vectors(-1e30, 1e30))
def test_the_new_length_is_at_most_one(variant: str, dtype: torch.dtype, rows: list[list[float]]) -> None:
    new = squash(torch.tensor(rows, dtype=dtype), variant=variant).double().norm(dim=-1)
    assert ((new >= 0) & (new <= 1 + 4 * torch.finfo(dtype).eps)).all()  # the last digits of the entries may round up


@every_variant
@every_dtype
def test_a_longer_vector_never_gets_shorter(variant: str, dtype: torch.dtype) -> None:
    n = torch.logspace(-12, 12, 4001, dtype=torch.float64).to(dtype)
    new = squash(torch.stack([n, torch.zeros_like(n)], dim=-1), variant=variant)[:, 0]
    ulp = torch.finfo(dtype).eps
    assert (new[1:] >= new[:-1] * (1 - 2 * ulp)).all()
    if variant != "unit":
        apart = (n[1:] > 1e-3) & (n[1:] < 10)  # there, the steps are far larger than rounding
        assert (new[1:][apart] > new[:-1][apart]).all()


@every_variant
@settings(max_examples=60, deadline=None)
@given(rows=vectors(-100, 100), factor=st.floats(1.01, 100))
def test_monotone_along_any_direction(variant: str, rows: list[list[float]], factor: float) -> None:
    s = torch.tensor(rows, dtype=torch.float64)
    shorter, longer = (squash(x, variant=variant).norm(dim=-1) for x in (s, factor * s))
    assert (longer >= shorter * (1 - 1e-14)).all()


@every_variant
@settings(max_examples=60, deadline=None)
@given(rows=vectors(-1e6, 1e6))
def test_the_direction_is_kept(variant: str, rows: list[list[float]]) -> None:
    s = torch.tensor(rows, dtype=torch.float64)
    v = squash(s, variant=variant)
    seen = (s.norm(dim=-1) > 1e-6) & (v.norm(dim=-1) > 1e-100)
    cosine = torch.cosine_similarity(s[seen] / lengths(s[seen]), v[seen] / lengths(v[seen]), dim=-1)
    torch.testing.assert_close(cosine, torch.ones_like(cosine), rtol=1e-12, atol=0)


@every_variant
def test_turning_the_input_turns_the_output(variant: str) -> None:
    generator = torch.Generator().manual_seed(0)
    s = torch.randn(7, 5, dtype=torch.float64, generator=generator)
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=generator))
    torch.testing.assert_close(squash(s @ rotation, variant=variant), squash(s, variant=variant) @ rotation)


@pytest.mark.parametrize(("dtype", "below", "above"), [(torch.float32, 4e3, 6e3), (torch.float64, 9e7, 1.4e8)])
def test_where_rounding_makes_it_exactly_one(dtype: torch.dtype, below: float, above: float) -> None:
    assert squash(torch.tensor([below], dtype=dtype)) < 1
    assert squash(torch.tensor([above], dtype=dtype)) == 1


# Gradients


@pytest.mark.parametrize("n", [1e-20, 1e-9, 0.3, 1.0, 1.5, 40.0, 1e5])
def test_slopes_of_the_paper(n: float) -> None:
    """Radial 2n / (1 + n^2)^2, tangential n / (1 + n^2), nothing else (checked on a turned vector)."""
    direction = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3
    jacobian = torch.autograd.functional.jacobian(squash, n * direction)
    along = torch.outer(direction, direction)
    expected = 2 * n / (1 + n**2) ** 2 * along + n / (1 + n**2) * (torch.eye(3, dtype=torch.float64) - along)
    torch.testing.assert_close(jacobian, expected, rtol=1e-9, atol=1e-14 * n / (1 + n**2))


@every_variant
@pytest.mark.parametrize("scale", [1e-4, 1e-3, 1.0, 100.0])
def test_gradcheck(variant: str, scale: float) -> None:
    s = scale * torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    step = 1e-6 * scale
    assert torch.autograd.gradcheck(lambda x: squash(x, variant=variant), (s.requires_grad_(),), eps=step, atol=1e-6)


@every_variant
def test_gradgradcheck(variant: str) -> None:
    s = torch.randn(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: squash(x, variant=variant), (s,))


@every_variant
@every_dtype
@pytest.mark.parametrize("n", [0.0, 1e-20, 1e-10, 1.0, 1e10, 1e20])
def test_value_and_gradient_are_finite(variant: str, dtype: torch.dtype, n: float) -> None:
    s = torch.tensor([[n, 0.0, 0.0], [n, -n, 2 * n]], dtype=dtype)
    jacobian = torch.autograd.functional.jacobian(lambda x: squash(x, variant=variant), s)
    assert torch.isfinite(squash(s, variant=variant)).all() and torch.isfinite(jacobian).all()
    largest = jacobian.abs().max()
    if variant == "unit":  # its gradient is 1/n: no bound holds near zero
        assert largest <= (0 if n == 0 else 1.001 / n)
    else:
        assert largest <= 1.001


@every_dtype
def test_the_gradient_at_and_near_the_zero_vector(dtype: torch.dtype) -> None:
    def jacobian(variant: str, n: float) -> torch.Tensor:
        s = torch.tensor([n, 0.0], dtype=dtype)
        return torch.autograd.functional.jacobian(lambda x: squash(x, variant=variant), s)

    identity = torch.eye(2, dtype=dtype)
    for variant in SQUASHES:
        assert (squash(torch.zeros(3, dtype=dtype), variant=variant) == 0).all()
        torch.testing.assert_close(jacobian(variant, 0.0), identity if variant in STEEP else 0 * identity)
    near = {variant: jacobian(variant, 1e-20) for variant in FLAT}
    torch.testing.assert_close(near["paper"], torch.tensor([[2e-20, 0], [0, 1e-20]], dtype=dtype), rtol=1e-5, atol=0)
    torch.testing.assert_close(near["half"], 2 * near["paper"], rtol=1e-5, atol=0)
    assert (near["epsilon"].diagonal() < 1e-14 * near["paper"].diagonal()).all()


def test_lengths_have_no_gradient_at_the_zero_vector() -> None:
    s = torch.tensor([[0.0, 0.0], [3.0, 4.0]], requires_grad=True)
    lengths(s).sum().backward()
    torch.testing.assert_close(s.grad, torch.tensor([[0.0, 0.0], [0.6, 0.8]]))


# Shapes


@every_variant
def test_dim_says_where_the_components_are(variant: str) -> None:
    s = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    for dim in range(-4, 4):
        moved = squash(s.movedim(dim, -1), variant=variant).movedim(-1, dim)
        torch.testing.assert_close(squash(s, dim=dim, variant=variant), moved)


@every_variant
def test_a_vector_does_not_depend_on_its_batch(variant: str) -> None:
    s = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0))
    together = squash(s, variant=variant)
    alone = torch.cat([squash(row, variant=variant) for row in s.split(1)])
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-7)
    assert squash(s[:1], variant=variant).shape == (1, 3, 4) and squash(s[:0], variant=variant).shape == (0, 3, 4)


@every_variant
@every_dtype
def test_dtype_and_input_stay_as_they_are(variant: str, dtype: torch.dtype) -> None:
    s = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = s.clone()
    assert squash(s, variant=variant).dtype == dtype
    assert torch.equal(s, before)


@every_variant
def test_nan_stays_in_its_own_vector(variant: str) -> None:
    v = squash(torch.tensor([[1.0, math.nan], [1.0, 2.0]]), variant=variant)
    assert v[0].isnan().any() and v[1].isfinite().all()


# Bad input


@pytest.mark.parametrize("function", [squash, lengths])
@pytest.mark.parametrize("bad", [[1.0, 2.0], np.ones(3), 1.0, None])
def test_refuses_what_is_no_tensor(function, bad) -> None:
    with pytest.raises(TypeError, match="floating-point tensor, got"):
        function(bad)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_refuses_other_numbers(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"floating-point tensor, got {dtype}"):
        squash(torch.ones(2, 3).to(dtype))


@pytest.mark.parametrize("variant", ["Paper", "", "none"])
def test_refuses_an_unknown_variant(variant: str) -> None:
    with pytest.raises(ValueError, match=r"variant must be one of 'paper', .*; got"):
        squash(torch.ones(3), variant=variant)


@pytest.mark.parametrize(("shape", "dim"), [((), -1), ((2, 3), 2), ((2, 3), -3), ((2, 0), -1)])
def test_refuses_a_dimension_that_is_not_there(shape: tuple[int, ...], dim: int) -> None:
    with pytest.raises(ValueError, match=rf"vectors along dimension {dim}, got shape"):
        squash(torch.ones(shape), dim=dim)

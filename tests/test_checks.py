"""The helper at the public doors: it passes what is right and says in one sentence what is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mi_lite.checks import at_least_one, check, check_mask, choose, not_negative


def test_sizes_come_back_by_letter():
    assert check(torch.zeros(2, 3, 4), "B T D", "behaviors") == {"B": 2, "T": 3, "D": 4}
    assert check(torch.zeros(5), "B", "x", B=5) == {"B": 5}
    assert check(torch.zeros(2, 3), "N+1 C", "features", **{"N+1": 2}) == {"N+1": 2, "C": 3}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_point_type_passes(dtype):
    assert check(torch.ones(3, dtype=dtype), "D", "x") == {"D": 3}


def test_bool_and_whole_numbers_pass_as_such():
    check(torch.ones(3, dtype=torch.bool), "B", "x", dtype="bool")
    check(torch.ones(3, dtype=torch.int64), "B", "x", dtype="int")
    check(torch.ones(3, dtype=torch.int32), "B", "x", dtype="int")


def test_a_sum_that_overflows_is_no_reason_to_refuse():
    check(torch.full((4,), 3e38), "D", "x")
    check(torch.tensor([3e38, 3e38, -3e38, -3e38]), "D", "x")
    check(torch.full((100,), 60000.0, dtype=torch.float16), "D", "x")


def test_numbers_that_are_not_finite_may_be_allowed():
    check(torch.tensor([torch.inf]), "D", "x", finite=False)


def test_what_requires_gradient_keeps_it():
    x = torch.ones(3, requires_grad=True)
    check(x, "D", "x")
    assert x.requires_grad
    assert x.grad is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: check([[1.0]], "B D", "x"), TypeError, r"x must be a torch tensor of shape \(B, D\), got list"),
        (lambda: check(np.ones((1, 1)), "B D", "x"), TypeError, "x must be a torch tensor .* got ndarray"),
        (lambda: check(torch.ones(2, dtype=torch.int64), "D", "x"), TypeError, "x must hold floating-point numbers"),
        (
            lambda: check(torch.ones(2), "D", "x", dtype="bool"),
            TypeError,
            "x must hold True and False, got torch.float32",
        ),
        (lambda: check(torch.ones(2), "D", "x", dtype="int"), TypeError, "x must hold whole numbers"),
        (lambda: check(torch.ones(2, 2), "B T D", "x"), ValueError, r"x must have shape \(B, T, D\), got \(2, 2\)"),
        (lambda: check(torch.ones(2, 3), "B D", "x", D=4), ValueError, r"x must have shape \(B, D=4\), got \(2, 3\)"),
        (lambda: check(torch.ones(2, 0), "B T", "x"), ValueError, r"shape \(2, 0\): dimension T is empty"),
        (lambda: check(torch.tensor([1.0, torch.nan]), "D", "x"), ValueError, r"finite numbers, got nan at \[1\]"),
        (lambda: check(torch.tensor([[1.0], [-torch.inf]]), "B D", "x"), ValueError, r"got -inf at \[1, 0\]"),
        (lambda: check(torch.tensor([torch.inf, -torch.inf]), "D", "x"), ValueError, r"got inf at \[0\]"),
        (
            lambda: check(torch.ones(2), "D", "x", like=torch.ones(1, dtype=torch.float64)),
            TypeError,
            "x must have the dtype of the other arguments, torch.float64, got torch.float32",
        ),
        (
            lambda: check(torch.ones(2), "D", "x", like=torch.ones(1, device="meta")),
            ValueError,
            "x must be on the device of the other arguments, meta, got cpu",
        ),
    ],
)
def test_one_clear_error(call, error, message):
    with pytest.raises(error, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_mask_of_none_stays_none():
    assert check_mask(None, batch=2, length=3, like=torch.ones(1)) is None


def test_mask_comes_back_on_the_device_of_the_rest():
    mask = torch.tensor([[True, False], [True, True]])
    assert check_mask(mask, batch=2, length=2, like=torch.ones(1)) is mask
    assert check_mask(mask, batch=2, length=2, like=torch.ones(1, device="meta")).device.type == "meta"


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (torch.ones(2, 3), TypeError, "mask must hold True and False"),
        (torch.ones(2, 3, dtype=torch.int64), TypeError, "mask must hold True and False"),
        ([[True] * 3] * 2, TypeError, "mask must be a torch tensor"),
        (torch.ones(2, 4, dtype=torch.bool), ValueError, r"mask must have shape \(B=2, T=3\), got \(2, 4\)"),
        (torch.ones(3, 3, dtype=torch.bool), ValueError, r"mask must have shape \(B=2, T=3\), got \(3, 3\)"),
        (torch.tensor([[True] * 3, [False] * 3]), ValueError, "mask: row 1 has no True entry"),
    ],
)
def test_bad_masks(mask, error, message):
    with pytest.raises(error, match=message):
        check_mask(mask, batch=2, length=3, like=torch.ones(1))


def test_choose():
    assert choose("a", ("a", "b"), "letter") == "a"
    with pytest.raises(ValueError, match="letter must be one of 'a', 'b'; got 'c'"):
        choose("c", ("a", "b"), "letter")


@pytest.mark.parametrize("value", [1, 7, np.int64(3), np.int32(3)])
def test_at_least_one_passes_whole_numbers(value):
    assert at_least_one(value, "K") == value
    assert type(at_least_one(value, "K")) is int


@pytest.mark.parametrize("value", [True, 1.0, "1", None, torch.tensor(1)])
def test_at_least_one_refuses_other_types(value):
    with pytest.raises(TypeError, match="K must be an integer, got"):
        at_least_one(value, "K")


@pytest.mark.parametrize("value", [0, -1])
def test_at_least_one_refuses_less(value):
    with pytest.raises(ValueError, match=f"K must be at least 1, got {value}"):
        at_least_one(value, "K")


@pytest.mark.parametrize("value", [0, 0.0, 2, 1.5, np.float32(0.5), np.int64(2)])
def test_not_negative_passes(value):
    assert not_negative(value, "σ") == value


@pytest.mark.parametrize("value", [-1e-9, float("nan"), float("inf")])
def test_not_negative_refuses(value):
    with pytest.raises(ValueError, match="σ must be a finite number of at least 0"):
        not_negative(value, "σ")


@pytest.mark.parametrize("value", ["1", None, True])
def test_not_negative_refuses_other_types(value):
    with pytest.raises(TypeError, match="σ must be a number, got"):
        not_negative(value, "σ")

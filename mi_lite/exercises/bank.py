"""The shared bank: mistakes that any exercise can make, as wrong implementations and as relations between results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from mi_lite.exercises.forms import Case, Function

#: what a letter of a shape stands for, one of it
NOUNS = {
    "B": "user", "T": "behaviour", "K": "interest", "D": "dimension", "N": "item", "C": "category", "R": "iteration",
    "L": "concept", "M": "candidate", "P": "profile field",
    "S": "sampled item", "n": "place",
}  # fmt: skip


def noun(letter: str) -> str:
    """``"K"`` → ``"interest"``."""
    return NOUNS.get(letter, letter)


# ---- wrong implementations made out of right ones ----


def without(solve: Function, **ignored: Callable[[Any], Any]) -> Function:
    """The solution with arguments replaced: ``without(solve, mask=torch.ones_like)`` ignores the mask."""

    def wrong(**case: Any) -> Any:
        return solve(**{key: ignored[key](value) if key in ignored else value for key, value in case.items()})

    return wrong


def first_users(solve: Function, name: str) -> Function:
    """Every user gets the first user's argument ``name``: state that is shared over users."""
    return without(solve, **{name: lambda value: value[:1].expand_as(value)})


def after(solve: Function, change: Callable[[Any], Any]) -> Function:
    """The solution with its result changed: ``after(solve, torch.neg)``, ``after(solve, torch.Tensor.detach)``."""

    def wrong(**case: Any) -> Any:
        return change(solve(**case))

    return wrong


# ---- relations between a wrong result and the right one ----


def close(a: Tensor, b: Tensor) -> bool:
    """Whether ``(…)`` and ``(…)`` are equal to 1e-4 of the size of the numbers; infinities and NaN must agree."""
    if a.shape != b.shape:
        return False
    a, b = a.double(), b.double()
    size = b[b.isfinite()].abs().max().clamp_min(1e-3) if b.isfinite().any() else torch.tensor(1.0)
    return bool(torch.allclose(a, b, rtol=1e-4, atol=1e-4 * float(size), equal_nan=True))


def _factor(a: Tensor, b: Tensor) -> float | None:
    """c where a = c b, None where there is none."""
    a, b = a.double().flatten(), b.double().flatten()
    if not (a.isfinite().all() and b.isfinite().all()) or float(b.square().sum()) < 1e-12:
        return None
    c = float((a * b).sum() / b.square().sum())
    return c if abs(c) > 1e-6 and close(a, c * b) else None


def _same(values: list[float | None]) -> float | None:
    """The one value that all agree on, to 1e-3."""
    known = [v for v in values if v is not None]
    if len(known) < len(values) or not known or max(known) - min(known) > 1e-3 * max(1.0, abs(known[0])):
        return None
    return sum(known) / len(known)


def sizes_of(case: Case, inputs: Mapping[str, str]) -> dict[str, int]:
    """The letters' sizes in a case."""
    found: dict[str, int] = {}
    for name, letters in inputs.items():
        if isinstance(case.get(name), Tensor):
            found.update(zip(letters.split(), case[name].shape, strict=False))
    return found


def relation(
    results: list[tuple[Case, Tensor, Tensor]], what: str, shape: str, inputs: Mapping[str, str]
) -> str | None:
    """How a wrong result goes together with the right one, over all cases; None if it is no relation of the bank.

    Args:
        results: ``(case, yours, right)`` for each case; ``yours`` and ``right`` have the same shape.
        what: the result's name. shape: its letters.
        inputs: the letters of the arguments.
    """
    letters = shape.split()
    wrong = [(case, a.double(), b.double()) for case, a, b in results if not close(a, b)]
    if not wrong:
        return None
    for found in (_by_value(results, wrong, what), _by_size(results, what, inputs), _by_order(wrong, what, letters)):
        if found:
            return found
    return _by_place(results, wrong, what, letters)


def _by_value(results: list[Any], wrong: list[Any], what: str) -> str | None:
    factor = _same([_factor(a, b) for _, a, b in results])
    if factor is not None and abs(factor + 1) < 1e-3:
        return f"Your {what} have the opposite sign everywhere."
    if factor is not None:
        return f"Your {what} are {factor:.4g} times what they should be, everywhere."
    shift = _same([float((a.double() - b).mean()) if close(a.double() - (a.double() - b).mean(), b.double()) else None
                   for _, a, b in results])  # fmt: skip
    if shift is not None:
        return f"Your {what} are off by the same number everywhere: {shift:+.4g}."
    if all(bool(a.isfinite().all()) and float(a.abs().max()) < 1e-9 for _, a, b in wrong):
        return f"Your {what} are zero."
    if all(a.numel() > 1 and float(a.max() - a.min()) < 1e-6 for _, a, _ in wrong):
        return f"Your {what} are the same everywhere."
    for words, change in (
        ("the square of", torch.square), ("the absolute value of", torch.abs), ("the exponential of", torch.exp),
        ("the logarithm of", lambda b: b.clamp_min(1e-300).log()), ("the square root of", lambda b: b.abs().sqrt()),
        ("one minus", lambda b: 1 - b), ("the reciprocal of", torch.reciprocal),
    ):  # fmt: skip
        if all(close(a, change(b.double())) for _, a, b in results):
            return f"Your {what} are {words} what they should be."
    return None


def _by_size(results: list[Any], what: str, inputs: Mapping[str, str]) -> str | None:
    """Too large or too small by the size of a dimension: a sum for a mean, or the other way."""
    factors = [_factor(a, b) for _, a, b in results]
    sizes = [sizes_of(case, inputs) for case, _, _ in results]
    for letter in sizes[0]:
        n = [float(size.get(letter, 0)) for size in sizes]
        if len(set(n)) < 2:
            continue
        for words, power in ((f"{letter} times too large", 1.0), (f"{letter} times too small", -1.0),
                             (f"√{letter} times too large", 0.5), (f"√{letter} times too small", -0.5)):  # fmt: skip
            if all(f is not None and m > 0 and abs(f / m**power - 1) < 1e-3 for f, m in zip(factors, n, strict=True)):
                return f"Your {what} are {words} ({letter} is the number of {noun(letter)}s)."
    return None


def _by_order(wrong: list[Any], what: str, letters: list[str]) -> str | None:
    for dim, letter in enumerate(letters):
        if all(close(a, b.flip(dim)) for _, a, b in wrong):
            return f"Your {what} are right but in reverse order over {noun(letter)}s."
        for words, step in (("late", 1), ("early", -1)):
            if all(b.shape[dim] > 1 and close(a, b.roll(step, dim)) for _, a, b in wrong):
                return f"Your {what} come one {noun(letter)} too {words}."
        if all(close(*(x / x.sum(dim, keepdim=True) for x in (a, b))) for _, a, b in wrong):
            return f"Your {what} have the right proportions over {noun(letter)}s but not the right sum."
        if all(close(a.sort(dim).values, b.sort(dim).values) for _, a, b in wrong):
            return f"Your {what} hold the right values in the wrong order over {noun(letter)}s."
    return None


def _by_place(results: list[Any], wrong: list[Any], what: str, letters: list[str]) -> str | None:
    """Right in some places and wrong in others: padding, the first user, one iteration, one interest."""
    masks = [case.get("mask") for case, _, _ in wrong]
    users = "B" in letters and letters.index("B") == 0
    if users and all(isinstance(m, Tensor) for m in masks):
        if letters[1:2] == ["T"] and all(close(a[m], b[m]) for (_, a, b), m in zip(wrong, masks, strict=True)):
            return f"Your {what} are right for real behaviours and wrong at the padding."
        full = [m.all(1) for m in masks]
        if any(bool(f.any()) for f in full) and all(
            close(a[f], b[f]) for (_, a, b), f in zip(wrong, full, strict=True)
        ):
            return f"Your {what} are right for users whose history is full and wrong for the others: padding leaks in."
        holes = [~f for f in full]
        if all(bool(h.any()) and close(a[h], b[h]) for (_, a, b), h in zip(wrong, holes, strict=True)):
            return f"Your {what} are right for users with padding and wrong for users whose history is full."
    exist = [case.get("interest_mask") for case, _, _ in wrong]
    if users and all(isinstance(m, Tensor) for m in exist):
        full = [m.all(1) for m in exist]
        if all(bool(f.any()) and close(a[f], b[f]) for (_, a, b), f in zip(wrong, full, strict=True)):
            return f"Your {what} are right for users who have all K interests and wrong for others: look at the mask."
    if users and all(a.shape[0] > 1 and close(a[:1], b[:1]) for _, a, b in wrong):
        return f"Your {what} are right for the first user only: something of hers is used for all."
    if users and all(close(*(x.mean(0, keepdim=True) for x in (a, b))) for _, a, b in wrong) and len(letters) > 1:
        return f"Your {what} are mixed up between users: only their mean over users is right."
    if len(wrong) < len(results):
        right = [case for case, a, b in results if close(a, b)]
        for key, value in right[0].items():
            if isinstance(value, (int, float, str)) and not isinstance(value, bool):
                held, missed = {case[key] for case in right}, {case[key] for case, _, _ in wrong}
                if not held & missed:
                    good, bad = (", ".join(map(str, sorted(s, key=str))) for s in (held, missed))
                    return f"Your {what} are right for {key} = {good} and wrong for {key} = {bad}."
    return None

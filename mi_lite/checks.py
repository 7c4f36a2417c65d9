"""One helper at the public doors: the right rank, sizes, type and finite numbers, or one clear error."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

KINDS = {"float": "floating-point numbers", "bool": "True and False", "int": "whole numbers (int64 or int32)"}


def check(
    x: Tensor,
    dims: str,
    name: str,
    *,
    dtype: str = "float",
    finite: bool = True,
    like: Tensor | None = None,
    **sizes: int,
) -> dict[str, int]:
    """Check a tensor against named dimensions and return their sizes.

    ``check(behaviors, "B T D", "behaviors")`` returns ``{"B": ..., "T": ..., "D": ...}``.

    Args:
        x: the tensor, of any shape: ``(B, T, D)``, say.
        dims: one letter (or word) for each dimension, separated by spaces.
        name: what the error message calls the tensor.
        dtype: ``"float"``, ``"bool"`` or ``"int"``.
        finite: refuse NaN and infinity (only for ``dtype="float"``).
        like: another tensor, whose dtype and device this one must have.
        **sizes: the size that a named dimension must have.

    Raises:
        TypeError: if ``x`` is no tensor or has another type of number.
        ValueError: for a wrong number of dimensions, a wrong size, an empty dimension, another device, NaN or infinity.
    """
    letters = dims.split()
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} must be a torch tensor of shape ({', '.join(letters)}), got {type(x).__name__}")
    kinds = {
        "float": x.is_floating_point(),
        "bool": x.dtype == torch.bool,
        "int": x.dtype in (torch.int64, torch.int32),
    }
    if not kinds[dtype]:
        raise TypeError(f"{name} must hold {KINDS[dtype]}, got {x.dtype}")
    if like is not None and x.dtype != like.dtype:
        raise TypeError(f"{name} must have the dtype of the other arguments, {like.dtype}, got {x.dtype}")
    if like is not None and x.device != like.device:
        raise ValueError(f"{name} must be on the device of the other arguments, {like.device}, got {x.device}")
    shape = tuple(x.shape)
    if len(shape) != len(letters):
        raise ValueError(f"{name} must have shape ({', '.join(letters)}), got {shape}")
    found = dict(zip(letters, shape, strict=True))
    for letter, size in found.items():
        if size == 0:
            raise ValueError(f"{name} has shape {shape}: dimension {letter} is empty")
        if letter in sizes and sizes[letter] != size:
            wanted = ", ".join(f"{k}={sizes[k]}" if k in sizes else k for k in letters)
            raise ValueError(f"{name} must have shape ({wanted}), got {shape}")
    # One pass for the common case: a sum is finite unless something in it is not (or it overflows: then look closely).
    if finite and dtype == "float" and not torch.isfinite(x.detach().sum()):
        wrong = ~torch.isfinite(x.detach())
        if wrong.any():
            place = tuple(wrong.nonzero()[0].tolist())
            raise ValueError(f"{name} must hold finite numbers, got {x[place].item()} at {list(place)}")
    return found


def check_mask(mask: Tensor | None, *, batch: int, length: int, like: Tensor, name: str = "mask") -> Tensor | None:
    """Check a boolean mask ``(B, T)``, True where a behaviour is real; every row needs at least one.

    Raises:
        TypeError: if it is not boolean.
        ValueError: for a wrong shape, or a row with no True (the message names the first such row).
    """
    if mask is None:
        return None
    check(mask, "B T", name, dtype="bool", B=batch, T=length)
    alive = mask.any(dim=1)
    if not alive.all():
        row = int((~alive).nonzero()[0])
        raise ValueError(f"{name}: row {row} has no True entry; every user needs at least one")
    return mask.to(like.device)


def choose(value: str, options: tuple[str, ...], name: str) -> str:
    """Return ``value`` if it is one of ``options``.

    Raises:
        ValueError: otherwise; the message lists the options.
    """
    if value not in options:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}; got {value!r}")
    return value


def at_least_one(value: int, name: str) -> int:
    """Return ``value`` if it is an integer of at least 1.

    Raises:
        TypeError: if it is not an integer.
        ValueError: if it is below 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, got {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1, got {value}")
    return int(value)


def not_negative(value: float, name: str) -> float:
    """Return ``value`` if it is a finite number of at least 0.

    Raises:
        TypeError: if it is no number.
        ValueError: if it is negative, NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {type(value).__name__}")
    if not 0 <= value < math.inf:
        raise ValueError(f"{name} must be a finite number of at least 0, got {value}")
    return float(value)

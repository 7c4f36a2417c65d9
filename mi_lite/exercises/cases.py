"""Inputs on which answers are compared: every dimension of another size, ragged histories, large numbers as padding."""

from __future__ import annotations

import torch
from torch import Tensor


def source(seed: int) -> torch.Generator:
    """Dice of their own, so that no check moves the reader's."""
    return torch.Generator().manual_seed(seed)


def ragged_mask(num_users: int, length: int) -> Tensor:
    """``(B, T)``: the first user's history is full, each next one is shorter by two, never empty."""
    lengths = torch.tensor([max(1, length - 2 * b) for b in range(num_users)])
    return torch.arange(length)[None] < lengths[:, None]


def padded(values: Tensor, mask: Tensor, times: float = 30.0) -> Tensor:
    """Values ``(B, T, …)``, much larger where the mask ``(B, T)`` says padding: a dropped mask shows."""
    return torch.where(mask.reshape(*mask.shape, *[1] * (values.dim() - 2)), values, times * values)

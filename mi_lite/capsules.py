"""Capsules: neurons whose output is a vector. The length says *whether*, the direction says *what*."""

from __future__ import annotations

import torch
from torch import Tensor

from mi_lite.checks import choose

SQUASHES = ("paper", "epsilon", "half", "root", "exponential", "unit")


def lengths(s: Tensor, dim: int = -1) -> Tensor:
    """Euclidean length along ``dim`` (kept with size 1); gradient 0 at the zero vector.

    Of very long or short vectors, squares are taken of the direction only, so that they neither overflow nor vanish.

    Args:
        s: vectors of any shape ``(…, D)``, floating point.
        dim: the dimension that holds a vector's components.

    Returns:
        ``(…, 1)``.

    Raises:
        TypeError: if ``s`` is no floating-point tensor.
        ValueError: if ``s`` has no dimension ``dim``, or that dimension is empty.
    """
    if not isinstance(s, Tensor) or not s.is_floating_point():
        kind = s.dtype if isinstance(s, Tensor) else type(s).__name__
        raise TypeError(f"s must be a floating-point tensor, got {kind}")
    if not -s.dim() <= dim < s.dim() or s.shape[dim] == 0:
        raise ValueError(f"s must hold vectors along dimension {dim}, got shape {tuple(s.shape)}")
    n = torch.linalg.vector_norm(s, dim=dim, keepdim=True)
    ordinary = (n > 1e-15) & (n < 1e15)  # vector by vector, so that none depends on its batch
    if ordinary.all():
        return n
    return torch.where(ordinary, n, (s * _directions(s, dim)).sum(dim=dim, keepdim=True))


def _directions(s: Tensor, dim: int) -> Tensor:
    """Vectors of length 1 along ``dim``, and 0 for the zero vector."""
    scale = s.detach().abs().amax(dim=dim, keepdim=True).clamp_min(torch.finfo(s.dtype).tiny)
    scaled = s / scale  # the largest entry is 1
    n = torch.linalg.vector_norm(scaled, dim=dim, keepdim=True)
    return scaled / torch.where(n > 0, n, 1.0)


def squash(s: Tensor, dim: int = -1, variant: str = "paper") -> Tensor:
    r"""Keep the direction of a vector, map its length n into [0, 1).

    ``"paper"`` is :math:`\frac{\|s\|^2}{1+\|s\|^2}\,\frac{s}{\|s\|}` (Sabour, Frosst and Hinton 2017, eq. 1).
    The value and the gradient are finite everywhere and zero at the zero vector. In float32 the new length rounds to
    exactly 1 from a length of about 5.8e3 on, in float64 from about 1e8 on.

    The other variants are found in public code; each gives a new length:

    * ``"epsilon"``: :math:`n^3/((1+n^2)\sqrt{n^2+10^{-9}})`, so below 3e-5 the length shrinks by its cube
      (THUDM/ComiRec ``src/model.py``, DeepMatch ``deepmatch/layers/core.py``);
    * ``"half"``: :math:`n^2/(1/2+n^2)`, longer than the paper's everywhere (bojone/Capsule ``Capsule_Keras.py`` and
      Keras 2 ``examples/cifar10_cnn_capsule.py``; both add 1e-7 to the squared length, which is left out here);
    * ``"root"``: :math:`n/\sqrt{1+n^2}`, the paper's factor to the power 1/2; slope 1 at zero
      (alibaba/EasyRec, ``squash_pow: 0.5`` in ``samples/model_config/mind_on_taobao_neg_sam.config``);
    * ``"exponential"``: :math:`1 - e^{-n}`; slope 1 at zero (EscVM/Efficient-CapsNet ``utils/layers.py``);
    * ``"unit"``: length 1 for every vector except zero (between iterations in alibaba/EasyRec
      ``easy_rec/python/layers/capsule_layer.py``). Its gradient grows like 1/n near zero; at zero it is set to 0.

    Args:
        s: vectors of any shape ``(…, D)``, floating point. NaN in, NaN out.
        dim: the dimension that holds a vector's components.
        variant: one of the names above.

    Returns:
        A tensor of the shape of ``s``.

    Raises:
        TypeError: if ``s`` is no floating-point tensor.
        ValueError: for an unknown variant, or if ``s`` has no dimension ``dim`` or it is empty.
    """
    choose(variant, SQUASHES, "variant")
    n = lengths(s, dim)
    if variant == "unit":
        return torch.where(n > 0, _directions(s, dim), 0.0 * s)
    # The factor new length / n in two forms: no squares of long lengths, no division by short ones. Either branch of
    # `where` stays finite, so the gradient does too.
    short, inverse = n.clamp(max=1), 1 / n.clamp(min=1)
    if variant in ("paper", "half"):
        c = 1.0 if variant == "paper" else 0.5
        return s * torch.where(n < 1, short / (c + short**2), inverse / (c * inverse**2 + 1))
    if variant == "epsilon":
        below = short**2 / (1 + short**2) / torch.sqrt(short**2 + 1e-9)
        return s * torch.where(n < 1, below, inverse / (inverse**2 + 1) / torch.sqrt(1 + 1e-9 * inverse**2))
    if variant == "root":
        return s * torch.where(n < 1, 1 / torch.sqrt(1 + short**2), inverse / torch.sqrt(inverse**2 + 1))
    tiny, rest = n.clamp(max=1e-3), n.clamp(min=1e-3)  # (1 - exp(-n)) / n, by its series where n is tiny
    series = 1 - tiny / 2 * (1 - tiny / 3 * (1 - tiny / 4 * (1 - tiny / 5)))
    return s * torch.where(n < 1e-3, series, -torch.expm1(-rest) / rest)

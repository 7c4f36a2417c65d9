"""MIND: Multi-Interest Network with Dynamic routing (Li et al., CIKM 2019)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from mi_lite.checks import at_least_one, check, check_mask, choose
from mi_lite.models import UserModel
from mi_lite.routing import adaptive_num_interests, b2i_routing, dynamic_routing, far_apart_logits

FORMS = ("scaled", "power", "signed_power")
STARTS = ("item", "place", "learned", "fresh", "zero", "far_apart")
MAPS = ("shared", "own")


class LabelAware(NamedTuple):
    """What label-aware attention returns."""

    user: Tensor  #: (B, D), the user as this target sees him
    weights: Tensor  #: (B, K), summing to one


def label_aware_attention(
    interests: Tensor, target: Tensor, power: float, interest_mask: Tensor | None = None, form: str = "scaled"
) -> LabelAware:
    r"""The target item mixes the user's interests (MIND, section 3.4).

    The paper writes :math:`V_u\,\mathrm{softmax}(\mathrm{pow}(V_u^\top e_i, p))` and says that p = 0 is the average
    and p → ∞ picks the best interest. The literal power does neither for all scores: a negative score has no
    fractional power, an even power prefers the most negative score, and scores below 1 in size are drowned as p grows.
    The default ``"scaled"`` form, :math:`\mathrm{softmax}(p\,V_u^\top e_i)`, is defined for every score and every
    p from 0 to infinity, has both limits, and never changes the order of the interests.

    Args:
        interests: ``(B, K, D)``.
        target: ``(B, D)``.
        power: p, from 0 (average) to ``math.inf`` (the best interest alone; among equals the first).
        interest_mask: ``(B, K)`` boolean, True where the user has this interest.
        form: ``"scaled"``, ``"power"`` (the literal formula) or ``"signed_power"`` (:math:`\mathrm{sign}(s)|s|^p`).

    Returns:
        `LabelAware`.

    Raises:
        TypeError, ValueError: for wrong shapes or types, NaN, p < 0, an infinite p in another form than ``"scaled"``,
            or a negative score under a fractional ``"power"``.
    """
    size = check(interests, "B K D", "interests")
    check(target, "B D", "target", B=size["B"], D=size["D"])
    choose(form, FORMS, "form")
    if math.isnan(power) or power < 0 or (math.isinf(power) and form != "scaled"):
        raise ValueError(f"power must be a number from 0 to infinity (finite unless form='scaled'), got {power}")
    interest_mask = check_mask(interest_mask, batch=size["B"], length=size["K"], like=interests, name="interest_mask")
    scores = (interests @ target[:, :, None])[:, :, 0]
    if form == "power" and power != int(power) and (scores < 0).any():
        raise ValueError(f"a negative score has no power {power}; use an integer power or form='scaled'")
    if math.isinf(power):
        if interest_mask is not None:
            scores = scores.masked_fill(~interest_mask, -torch.inf)
        weights = nn.functional.one_hot(scores.argmax(1), size["K"]).to(scores.dtype)
    else:
        if form == "scaled":
            logits = power * scores
        elif form == "power":
            logits = scores**power
        else:
            logits = scores.sign() * scores.abs() ** power
        if interest_mask is not None:
            logits = logits.masked_fill(~interest_mask, -torch.inf)
        weights = torch.softmax(logits, dim=1)
    return LabelAware((weights[:, None, :] @ interests)[:, 0], weights)


class MIND(UserModel):
    """MIND's user tower: B2I routing, then profile and projection. `mi_lite.losses` has its training rules.

    In evaluation mode the same user gets the same interests whatever the batch, the padding or the process: the
    initial logits belong to the items (drawn once from the model's seed and saved with it). Public code mostly draws
    them anew at every call; that is ``start="fresh"``, which cannot promise this.

    Args:
        num_items, dim, common: see `mi_lite.models.UserModel`.
        num_interests: K, the most interests a user can have.
        iterations: R of routing.
        adaptive: give each user `adaptive_num_interests` of them instead of K.
        rounding: of the adaptive number.
        start: initial logits: ``"item"`` (fixed, one row for each item), ``"place"`` (fixed, one row for each place
            counted back from the latest), ``"learned"`` (as item, and trained), ``"fresh"`` (a new draw at every
            call), ``"zero"``, or ``"far_apart"`` (no dice: see `mi_lite.routing.far_apart_logits`).
        init_std: σ of the initial logits.
        maps: one ``"shared"`` map S (MIND), or each interest's ``"own"`` (as between Sabour's capsules).
        update, axis, gradient: see `mi_lite.routing.b2i_routing`.

    Raises:
        TypeError, ValueError: for a size that is not a whole number of at least 1, or an unknown option.
    """

    def __init__(
        self,
        num_items: int,
        dim: int = 32,
        num_interests: int = 4,
        *,
        iterations: int = 3,
        adaptive: bool = False,
        rounding: str = "floor",
        start: str = "item",
        init_std: float = 1.0,
        maps: str = "shared",
        update: str = "accumulate",
        axis: str = "interests",
        gradient: str = "last",
        **common: Any,
    ) -> None:
        super().__init__(num_items, dim, **common)
        self.num_interests = at_least_one(num_interests, "num_interests")
        self.iterations = at_least_one(iterations, "iterations")
        self.adaptive = adaptive
        self.rounding = rounding
        self.start = choose(start, STARTS, "start")
        self.init_std = init_std
        self.maps = choose(maps, MAPS, "maps")
        self.options = dict(iterations=iterations, update=update, axis=axis, gradient=gradient)
        self.arguments.update(
            num_interests=num_interests, adaptive=adaptive, rounding=rounding, start=start, init_std=init_std,
            maps=maps, **self.options,
        )  # fmt: skip
        self.bilinear = nn.Parameter(torch.empty(*([num_interests] if maps == "own" else []), dim, dim))
        self.initialize()
        rows = self.max_history if start == "place" else num_items + 1
        table = init_std * torch.randn(rows, num_interests, generator=self.generator)
        if start == "learned":
            self.start_logits: Tensor | None = nn.Parameter(table)
        else:
            self.register_buffer("start_logits", table if start in ("item", "place") else None)

    def transform(self, vectors: Tensor) -> Tensor:
        """The shared map: item vectors ``(…, D)`` to votes ``S e_i``."""
        return vectors if self.maps == "own" else vectors @ self.bilinear.T

    def extract(self, behaviors: Tensor, mask: Tensor, history: Tensor) -> tuple[Tensor, Tensor, Any]:
        """Routing: interests ``(B, K, D)``, the mask ``(B, K)`` of those that each user has, and the `Routing`."""
        if self.adaptive:
            number = adaptive_num_interests(mask.sum(1), self.num_interests, self.rounding)
        else:
            number = mask.new_full(mask.shape[:1], self.num_interests, dtype=torch.int64)
        interest_mask = torch.arange(self.num_interests, device=mask.device) < number[:, None]
        some = interest_mask if self.adaptive else None  # all interests exist: nothing to mask in routing
        logits = self.initial_logits(behaviors, history, mask)
        shared = dict(mask=mask, interest_mask=some, logits=logits, **self.options)
        if self.maps == "own":
            votes = torch.einsum("kpd,btd->btkp", self.bilinear, behaviors)
            routing = dynamic_routing(votes, **shared)  # type: ignore[arg-type]
        else:
            routing = b2i_routing(behaviors, None, self.num_interests, **shared)  # type: ignore[arg-type]
        return routing.interests, interest_mask, routing

    def initial_logits(self, behaviors: Tensor, history: Tensor, mask: Tensor) -> Tensor:
        """The logits ``(B, T, K)`` that routing starts from."""
        if self.start in ("item", "learned"):
            assert self.start_logits is not None
            return nn.functional.embedding(history, self.start_logits)
        if self.start == "place":
            assert self.start_logits is not None
            return self.start_logits[self._places(mask)]
        if self.start == "far_apart":
            return far_apart_logits(behaviors, self.num_interests, mask=mask)
        shape = (*history.shape, self.num_interests)
        if self.start == "zero":
            return self.items.weight.new_zeros(shape)
        return self.init_std * torch.randn(shape, device=history.device)

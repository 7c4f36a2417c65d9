"""What every model of the book shares: items become vectors, histories become user vectors.

A model is `UserModel.extract` (the chapter's mechanism: history in, K vectors out) between two layers that all models
have in common, so that a comparison of two models is a comparison of their mechanisms.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mi_lite.checks import at_least_one, check, check_mask
from mi_lite.data import Interactions


class UserInterests(NamedTuple):
    """The interests of B users."""

    vectors: Tensor  #: (B, K, D)
    mask: Tensor  #: (B, K) boolean, True where the user has this interest
    trace: Any = None  #: what the mechanism has to show: a `Routing`, attention maps …


class UserModel(nn.Module):
    """Base of all models: embedding and pooling layer, the mechanism, and the layer that adds the profile.

    Args:
        num_items: N; ids run from 1 to N, 0 is padding.
        dim: D, the length of item and interest vectors.
        item_features: ``(N + 1, C)`` boolean, features of each item (genres, say); their embeddings are averaged and
            the item's vector is the mean of that and its own embedding (MIND, section 3.2). None: the id alone.
        profile_sizes: number of values of each profile field; empty: no profile.
        hidden: width of the ReLU layer that projects ``[interest, profile]`` to D; 0: no projection layer at all
            (only without a profile).
        recency: multiply each behaviour by a learned weight of its place, counted back from the latest.
        max_history: T, the longest history the model takes.
        seed: seed of all initial parameters.

    Raises:
        TypeError, ValueError: for a size that is not a whole number of at least 1, features of a wrong shape, or a
            profile without a projection layer.
    """

    item_features: Tensor | None

    def __init__(
        self,
        num_items: int,
        dim: int = 32,
        *,
        item_features: np.ndarray | Tensor | None = None,
        profile_sizes: tuple[int, ...] = (),
        hidden: int = 64,
        recency: bool = False,
        max_history: int = 50,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.num_items = at_least_one(num_items, "num_items")
        self.dim = at_least_one(dim, "dim")
        self.max_history = at_least_one(max_history, "max_history")
        if profile_sizes and not hidden:
            raise ValueError("a profile needs a projection layer: hidden must be at least 1")
        #: what to build this model with again; a subclass adds its own (see `mi_lite.training.save`)
        self.arguments: dict[str, Any] = dict(
            num_items=num_items, dim=dim, item_features=item_features, profile_sizes=tuple(profile_sizes),
            hidden=hidden, recency=recency, max_history=max_history, seed=seed,
        )  # fmt: skip
        self.generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(devices=[]):  # torch's own first values are drawn over below; leave no trace
            self.items = nn.Embedding(num_items + 1, dim, padding_idx=0)
            self.register_buffer("item_features", None)
            if item_features is not None:
                features = torch.as_tensor(item_features, dtype=torch.float32)
                check(features, "rows C", "item_features", rows=num_items + 1)
                self.item_features = features / features.sum(1, keepdim=True).clamp_min(1)
                self.feature_vectors = nn.Parameter(torch.empty(features.shape[1], dim))
            self.fields = nn.ModuleList(nn.Embedding(size, dim) for size in profile_sizes)
            self.profile_sizes = tuple(profile_sizes)
            self.project: nn.Module | None = None
            if hidden:
                self.project = nn.Sequential(
                    nn.Linear(dim * (1 + len(profile_sizes)), hidden), nn.ReLU(), nn.Linear(hidden, dim)
                )
        self.recency = nn.Parameter(torch.zeros(max_history)) if recency else None

    def initialize(self) -> None:
        """Draw all parameters from the model's own generator; a subclass calls it at the end of its constructor."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name == "recency":
                    continue
                if name.endswith("bias"):
                    parameter.zero_()
                else:
                    fan = parameter.shape[-1]
                    parameter.normal_(0, fan**-0.5, generator=self.generator)
            self.items.weight[0] = 0

    def item_vectors(self, ids: Tensor | None = None) -> Tensor:
        """Vectors of these items ``(…, D)``, or of the whole catalogue ``(N + 1, D)``; padding is the zero vector."""
        own = self.items.weight if ids is None else self.items(ids)
        if self.item_features is None:
            return own
        features = self.item_features if ids is None else self.item_features[ids]
        return (own + features @ self.feature_vectors) / 2

    def interests(self, history: Tensor, mask: Tensor | None = None, profile: Tensor | None = None) -> UserInterests:
        """The interests of B users.

        Args:
            history: ``(B, T)`` item ids, oldest first, 0 where there is none (on either side).
            mask: ``(B, T)`` boolean, True where a behaviour is real; None: where the id is not 0.
            profile: ``(B, P)`` integer codes; needed by a model that was built with a profile, not looked at by others.

        Raises:
            TypeError, ValueError: for ids outside 0…N, a user without any behaviour, a history longer than
                ``max_history``, or a missing profile.
        """
        size = check(history, "B T", "history", dtype="int")
        if size["T"] > self.max_history:
            raise ValueError(f"history has {size['T']} places; this model takes at most {self.max_history}")
        if int(history.min()) < 0 or int(history.max()) > self.num_items:
            bad = history[(history < 0) | (history > self.num_items)][0]
            raise ValueError(f"history holds item id {int(bad)}; expected 0 (padding) to {self.num_items}")
        if mask is None:
            mask = history != 0
        checked = check_mask(mask, batch=size["B"], length=size["T"], like=history, name="mask (real behaviours)")
        assert checked is not None
        mask = checked
        behaviors = self._embed(history)
        if self.recency is not None:
            behaviors = behaviors * self.recency.exp()[self._places(mask)][:, :, None]
        vectors, interest_mask, trace = self.extract(behaviors, mask, history)
        extra = self._profile_vectors(profile, size["B"])
        if self.project is not None:
            if extra is not None:
                vectors = torch.cat([vectors, extra[:, None, :].expand(-1, vectors.shape[1], -1)], dim=2)
            vectors = self.project(vectors)
        if not interest_mask.all():
            vectors = vectors.masked_fill(~interest_mask[:, :, None], 0)
        return UserInterests(vectors, interest_mask, trace)

    @staticmethod
    def _places(mask: Tensor) -> Tensor:
        """``(B, T)``: the place of each behaviour counted back from the latest real one, which is 0."""
        return (mask.flip(1).cumsum(1).flip(1) - 1).clamp_min(0)

    def _embed(self, history: Tensor) -> Tensor:
        """Vectors of a history's items after `transform`, by whichever way computes fewer of them."""
        if history.numel() < self.num_items:
            return self.transform(self.item_vectors(history))
        return nn.functional.embedding(history, self.transform(self.item_vectors()))

    def transform(self, vectors: Tensor) -> Tensor:
        """A linear map ``(…, D)`` to ``(…, D)`` that a mechanism applies to every behaviour alike; here none.

        Training looks items up after the map, since a batch of histories holds each item many times.
        """
        return vectors

    def extract(self, behaviors: Tensor, mask: Tensor, history: Tensor) -> tuple[Tensor, Tensor, Any]:
        """The mechanism: behaviours to interests.

        Args:
            behaviors: ``(B, T, D)``, after `transform`.
            mask: ``(B, T)`` boolean, True where a behaviour is real.
            history: ``(B, T)`` item ids.

        Returns:
            Interests ``(B, K, D)``, the mask ``(B, K)`` of those that each user has, and a trace.

        Raises:
            NotImplementedError: here; each model defines its own.
        """
        raise NotImplementedError(f"{type(self).__name__} must define extract")

    def _profile_vectors(self, profile: Tensor | None, batch: int) -> Tensor | None:
        if not self.profile_sizes:
            return None
        if profile is None:
            raise ValueError(f"this model needs a profile of shape (B, {len(self.profile_sizes)})")
        check(profile, "B P", "profile", dtype="int", B=batch, P=len(self.profile_sizes))
        for p, size in enumerate(self.profile_sizes):
            if int(profile[:, p].min()) < 0 or int(profile[:, p].max()) >= size:
                raise ValueError(f"profile field {p} must hold codes from 0 to {size - 1}")
        return torch.cat([field(profile[:, p]) for p, field in enumerate(self.fields)], dim=1)

    @classmethod
    def for_data(
        cls, interactions: Interactions, *, features: bool = True, profile: bool = True, **options: Any
    ) -> Any:
        """A model of the right sizes for a data set, with its item features and profile where it has them."""
        if features and interactions.categories is not None:
            options["item_features"] = interactions.categories
        if profile and interactions.profile is not None:
            options["profile_sizes"] = interactions.profile_sizes
        return cls(interactions.num_items, **options)


class SingleVector(UserModel):
    """The baseline: one vector a user, the mean of the history (with ``recency``, a weighted mean).

    Everything else (embeddings, features, profile, projection, losses, trainer) is what the other models have.
    """

    def __init__(self, num_items: int, dim: int = 32, **common: Any) -> None:
        super().__init__(num_items, dim, **common)
        self.initialize()

    def extract(self, behaviors: Tensor, mask: Tensor, history: Tensor) -> tuple[Tensor, Tensor, Any]:
        """The mean of the real behaviours ``(B, 1, D)``, its mask, and no trace."""
        real = mask[:, :, None]
        mean = behaviors.masked_fill(~real, 0).sum(1, keepdim=True) / real.sum(1, keepdim=True)
        return mean, mask.new_ones(mask.shape[0], 1), None

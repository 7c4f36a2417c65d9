"""One training run, measured the same way in every experiment."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch

from mi_lite.data import Interactions, Splits, World, leave_one_out, movielens_100k, synthetic_world
from mi_lite.metrics import agreement, evaluate, intra_list_diversity, mean_cosine
from mi_lite.mind import MIND
from mi_lite.models import SingleVector, UserModel
from mi_lite.results import pack, select
from mi_lite.retrieval import top_n
from mi_lite.training import TrainConfig, train

TRAIN = set(TrainConfig.__dataclass_fields__)


@cache
def movielens() -> tuple[Interactions, Splits]:
    """MovieLens-100K and its splits: histories of the last 50."""
    interactions = movielens_100k()
    return interactions, leave_one_out(interactions)


@cache
def planted(num_concepts: int, dim: int, seed: int) -> tuple[World, Splits]:
    """A small planted world: 1,000 users with 1 to 8 interests, 3,000 items, histories of 15 to 25."""
    world = synthetic_world(1000, 3000, num_concepts, dim, (1, 8), history_length=(15, 25), seed=seed)
    return world, leave_one_out(world.interactions, max_history=25)


def build(config: dict[str, Any], interactions: Interactions, max_history: int, **shared: Any) -> UserModel:
    """The model that a configuration names (``model``) with its options (everything that is no training option)."""
    options = {k: v for k, v in config.items() if k not in TRAIN | {"model", "concepts", "label"}}
    kinds: dict[str, type[UserModel]] = {"single": SingleVector, "MIND": MIND}
    return kinds[config["model"]].for_data(
        interactions, max_history=max_history, seed=config["seed"], **{**shared, **options}
    )


def train_config(config: dict[str, Any], **shared: Any) -> TrainConfig:
    """The training options of a configuration over those that an experiment shares."""
    return TrainConfig(**{**shared, **{k: v for k, v in config.items() if k in TRAIN}})


def measure(model: UserModel, splits: Splits, settings: TrainConfig, world: World | None = None) -> dict[str, Any]:
    """Train, serve the test users, and return the numbers of the run and who was hit."""
    result = train(model, splits, settings)
    test, seen = splits.test, splits.seen_before(splits.test)
    evaluation = evaluate(model, test, seen)
    numbers = evaluation.summary()
    numbers["validation"] = max(result.recalls)
    numbers["best_epoch"] = result.best_epoch
    numbers["examples_per_second"] = result.examples_seen / result.seconds
    if splits.interactions.categories is not None:
        lists = evaluation.ranked[:, :20]
        numbers["diversity@20"] = float(intra_list_diversity(lists, splits.interactions.categories).mean())
    profile = None if test.profile is None else torch.from_numpy(test.profile)
    with torch.no_grad():
        user = model.interests(torch.from_numpy(test.history), profile=profile)
        items = model.item_vectors()
    if user.vectors.shape[1] > 1:
        numbers["cosine"] = float(np.nanmean(mean_cosine(user.vectors, user.mask)))
        numbers["alone@20"] = _alone(user.vectors, user.mask, items, test.target, seen)
        if world is not None:
            found = agreement(user.trace.weights[-1], world.history_concepts(test), test.mask)
            numbers.update({name: float(np.mean(value)) for name, value in found.items()})
    rounded = {name: round(float(value), 5) for name, value in numbers.items()}
    return {"numbers": rounded, "hits": pack(evaluation.recall[20] > 0)}


def _alone(vectors: torch.Tensor, mask: torch.Tensor, items: torch.Tensor, target: Any, seen: Any) -> float:
    """Recall@20 of one interest alone, the mean over a user's interests."""
    found = torch.zeros(mask.shape)
    for k in range(mask.shape[1]):
        one = torch.zeros_like(mask)
        one[:, k] = True
        lists = top_n(vectors, items, 20, interest_mask=one, exclude=torch.from_numpy(seen)).items
        found[:, k] = (lists == torch.from_numpy(target)[:, None]).any(1)
    return float((found * mask).sum(1).div(mask.sum(1)).mean())


def first_losses(model: UserModel, splits: Splits, settings: dict[str, Any]) -> list[float]:
    """The losses of the first five steps: enough to see whether a change moved the numbers."""
    batch = settings.get("batch_size", 512)
    config = TrainConfig(**{**settings, "epochs": 1, "examples_per_epoch": 5 * batch})
    return [round(x, 6) for x in train(model, splits, config).first_losses]


def best(result: dict[str, Any], **config: Any) -> dict[str, Any]:
    """The configuration with the best validation recall among the runs that agree with ``config``."""
    runs = select(result, **config)
    chosen: dict[str, Any] = max(runs, key=lambda r: r["numbers"]["validation"])["config"]
    return chosen

"""One trainer for all models: seeds, early stopping, progress, save and load."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mi_lite.checks import at_least_one, choose
from mi_lite.data import Examples, Splits
from mi_lite.losses import RULES, candidate_scores, full_softmax, sampled_softmax
from mi_lite.metrics import evaluate
from mi_lite.mind import MIND
from mi_lite.models import SingleVector, UserModel

LOSSES = ("full", "sampled")
SAMPLERS = ("uniform", "popularity")
MODELS: dict[str, type[UserModel]] = {"MIND": MIND, "SingleVector": SingleVector}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How to train. Every field is a switch of the book; the defaults are chapter 4's.

    Args:
        rule: the training rule, see `mi_lite.losses.candidate_scores`.
        power: p of the label-aware rule.
        loss: ``"full"`` softmax over the catalogue, or ``"sampled"``.
        negatives: sampled items a batch (only for the sampled loss).
        sampler: ``"uniform"`` over the catalogue or by ``"popularity"`` in the training examples.
        log_q: correct the sampled loss for how often an item is drawn.
        epochs: at most so many.
        examples_per_epoch: train on a fresh random part of the examples each epoch; None: all of them.
        batch_size: examples a step.
        learning_rate, weight_decay: Adam's (decoupled decay).
        patience: stop after so many epochs without a better validation recall; the best epoch's parameters are kept.
        recall_at: N of that recall.
        seed: order of the examples and the sampled negatives (the model's own seed is the model's).
        device: where to train.
        progress: show a progress bar.

    Raises:
        TypeError: for a number that is not whole where one is needed.
        ValueError: for an unknown option, or a number out of range.
    """

    rule: str = "target_picks"
    power: float = 1.0
    loss: str = "full"
    negatives: int = 512
    sampler: str = "uniform"
    log_q: bool = True
    epochs: int = 20
    examples_per_epoch: int | None = None
    batch_size: int = 512
    learning_rate: float = 0.003
    weight_decay: float = 0.0
    patience: int = 3
    recall_at: int = 20
    seed: int = 0
    device: str = "cpu"
    progress: bool = False

    def __post_init__(self) -> None:
        choose(self.rule, RULES, "rule")
        choose(self.loss, LOSSES, "loss")
        choose(self.sampler, SAMPLERS, "sampler")
        for name in ("negatives", "epochs", "batch_size", "patience", "recall_at"):
            at_least_one(getattr(self, name), name)
        if self.examples_per_epoch is not None:
            at_least_one(self.examples_per_epoch, "examples_per_epoch")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")


@dataclasses.dataclass
class TrainResult:
    """What `train` returns; the model holds the parameters of the best epoch."""

    model: UserModel
    config: TrainConfig
    losses: list[float]  #: mean loss of each epoch
    recalls: list[float]  #: validation recall after each epoch
    best_epoch: int  #: counted from 0
    first_losses: list[float]  #: of the first steps, for a quick comparison of two runs
    seconds: float  #: of training proper, validation left out
    examples_seen: int


def train(model: UserModel, splits: Splits, config: TrainConfig | None = None) -> TrainResult:
    """Train a model on ``splits.train``, stop early on ``splits.validation``.

    Args:
        model: any `UserModel`; it is trained in place.
        splits: from `mi_lite.data.leave_one_out`.
        config: None: the defaults.

    Raises:
        ValueError: if the model is smaller than the data, or the loss is no longer finite.
    """
    config = config or TrainConfig()
    if model.num_items != splits.interactions.num_items:
        raise ValueError(
            f"the model was built for {model.num_items} items, the data has {splits.interactions.num_items}"
        )
    device = torch.device(config.device)
    model.to(device)
    rng = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)  # for models that draw fresh logits at every call
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
    counts = np.bincount(splits.train.target, minlength=model.num_items + 1)
    sampler = _Sampler(counts, config, device)
    best: dict[str, Tensor] = {}
    losses: list[float] = []
    recalls: list[float] = []
    first: list[float] = []
    seconds, seen, best_epoch = 0.0, 0, 0
    bar = _bar(config.epochs, config.progress)
    for epoch in range(config.epochs):
        started = time.perf_counter()
        total, number = 0.0, 0
        model.train()
        for batch in _batches(splits.train, config, rng):
            history, target, profile = (None if x is None else torch.from_numpy(x).to(device) for x in batch)
            assert history is not None and target is not None
            loss = batch_loss(model, history, target, profile, config, sampler)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            value = float(loss.detach())
            if len(first) < 5:
                first.append(value)
            total, number = total + value * len(target), number + len(target)
        if not np.isfinite(total):
            raise ValueError(f"the loss is not finite in epoch {epoch}; a lower learning rate may help")
        seconds += time.perf_counter() - started
        seen += number
        losses.append(total / number)
        recalls.append(validation_recall(model, splits, config.recall_at))
        if recalls[-1] > max(recalls[:-1], default=-1.0):
            best_epoch = epoch
            best = {name: value.detach().clone() for name, value in model.state_dict().items()}
        bar.update(1)
        bar.set_postfix_str(f"loss {losses[-1]:.3f}, recall@{config.recall_at} {recalls[-1]:.3f}")
        if epoch - best_epoch >= config.patience:
            break
    bar.close()
    model.load_state_dict(best)
    model.eval()
    return TrainResult(model, config, losses, recalls, best_epoch, first, seconds, seen)


def validation_recall(model: UserModel, splits: Splits, n: int) -> float:
    """Recall@n on the validation targets, as it is served."""
    model.eval()
    return float(evaluate(model, splits.validation, splits.seen_before(splits.validation), ns=(n,)).recall[n].mean())


def batch_loss(
    model: UserModel, history: Tensor, target: Tensor, profile: Tensor | None, config: TrainConfig, sampler: _Sampler
) -> Tensor:
    """The loss of one batch under a configuration.

    Args:
        model: any `UserModel`.
        history: ``(B, T)`` item ids, oldest first, 0 for padding.
        target: ``(B,)`` item ids, 1 to N.
        profile: ``(B, P)`` codes, or None.
        config: the rule and the loss.
        sampler: draws the negatives of the sampled loss.
    """
    user = model.interests(history, profile=profile)
    options: dict[str, Any] = dict(rule=config.rule, power=config.power, interest_mask=user.mask)
    if config.loss == "full":
        items = model.item_vectors()
        return full_softmax(candidate_scores(user.vectors, items[target], items, **options), target)
    sampled = sampler.draw()
    own, others = model.item_vectors(target), model.item_vectors(sampled)
    positive = candidate_scores(user.vectors, own, own[:, None, :], **options)[:, 0]
    negatives = candidate_scores(user.vectors, own, others, **options)
    return sampled_softmax(positive, negatives, target, sampled, log_q=sampler.log_q)


class _Sampler:
    """Draws the negatives that a batch shares, with replacement."""

    def __init__(self, counts: np.ndarray, config: TrainConfig, device: torch.device) -> None:
        weights = torch.ones(len(counts)) if config.sampler == "uniform" else torch.as_tensor(counts + 1.0).float()
        weights[0] = 0
        self.weights = (weights / weights.sum()).to(device)
        self.number = config.negatives
        self.log_q = (self.weights * self.number).log() if config.log_q else None
        self.generator = torch.Generator(device=device).manual_seed(config.seed)

    def draw(self) -> Tensor:
        return torch.multinomial(self.weights, self.number, replacement=True, generator=self.generator)


def _batches(
    examples: Examples, config: TrainConfig, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray | None]]:
    order = rng.permutation(len(examples))[: config.examples_per_epoch]
    for start in range(0, len(order), config.batch_size):
        rows = order[start : start + config.batch_size]
        history = examples.history[rows]
        used = int((history != 0).sum(1).max())  # the padding that no row of the batch needs is left out
        profile = None if examples.profile is None else examples.profile[rows]
        yield history[:, :used], examples.target[rows], profile


def _bar(total: int, shown: bool) -> Any:
    if shown:
        try:
            from tqdm.auto import tqdm
        except ImportError as error:
            raise ImportError("progress=True needs tqdm: pip install tqdm") from error
        return tqdm(total=total, unit="epoch")
    return _NoBar()


class _NoBar:
    def update(self, n: int) -> None: ...
    def set_postfix_str(self, text: str) -> None: ...
    def close(self) -> None: ...


def save(model: UserModel, path: str | os.PathLike[str]) -> None:
    """Store a model (its class, arguments and parameters) in one file, atomically."""
    path = Path(path)
    arguments = {
        name: torch.as_tensor(value) if isinstance(value, np.ndarray) else value
        for name, value in model.arguments.items()
    }
    temporary = path.with_name(path.name + ".part")
    torch.save({"model": type(model).__name__, "arguments": arguments, "state": model.state_dict()}, temporary)
    os.replace(temporary, path)


def load(path: str | os.PathLike[str]) -> UserModel:
    """The model that `save` stored, on the CPU and in evaluation mode; it gives the same lists in any process.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no model of this package.
    """
    wrong = f"{path} holds no model of mi_lite; expected a file written by mi_lite.training.save"
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch has no one error for a file that is not its own
        raise ValueError(wrong) from error
    if not isinstance(stored, dict) or stored.get("model") not in MODELS:
        raise ValueError(wrong)
    model = MODELS[stored["model"]](**stored["arguments"])
    model.load_state_dict(stored["state"])
    return model.eval()

"""MIND here beside MIND in torch-rechub 0.9.0: speed in turn, recall at equal examples seen.

    .venv/bin/pip install --no-deps --target .venv/bench -r benchmarks/requirements.txt      (once)
    .venv/bin/python -m benchmarks.mind_vs_torch_rechub

Both get the same MovieLens-100K split, ids, profile fields, D, K, T, batches in the same order, training rule (the
target picks the interest), Adam without weight decay, threads, and the same serving: exact top N by the best interest,
seen films left out. Item features are off. Each has its learning rate chosen from the same list on validation recall,
and its best epoch. torch-rechub's model runs in the leanest loop we can write, on batches cut from tensors; its own
trainer with its own data loader is timed too.

Negatives are where the two are built differently: here a batch shares its sampled negatives, there each example can
have its own. So there are two comparisons. Each as it is usually run: 512 shared ones here, 20 own ones there. And both
on the same negatives, id for id: 20 shared by the batch (and, for speed alone, 512).
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks._common import (
    INSTALL,
    alternate,
    in_a_process_of_its_own,
    machine,
    peak_memory,
    peer_is_installed,
    ratio,
    store,
    table,
)
from mi_lite.data import Examples, Splits, leave_one_out, movielens_100k
from mi_lite.metrics import Evaluation, evaluate, evaluate_ranking, paired_interval, spread
from mi_lite.mind import MIND
from mi_lite.retrieval import top_n
from mi_lite.training import TrainConfig, train

DIM, INTERESTS, HISTORY, BATCH = 32, 4, 50, 512
LEARNING_RATES = (0.001, 0.003, 0.01)
PEER = "torch-rechub"


@dataclass(frozen=True)
class Contestant:
    """A model and its sampled negatives: so many for each example, or so many that a batch shares."""

    who: str
    negatives: int
    shared: bool

    @property
    def name(self) -> str:
        return f"{self.who}, {self.negatives} {'shared' if self.shared else 'own'}"


OURS, THEIRS = Contestant("mi_lite", 512, True), Contestant(PEER, 20, False)
OURS_FEW, THEIRS_FEW = Contestant("mi_lite", 20, True), Contestant(PEER, 20, True)
THEIRS_MANY = Contestant(PEER, 512, True)  # speed only: an epoch of it takes minutes
ALL = (OURS, THEIRS, OURS_FEW, THEIRS_FEW)
PAIRS = ((OURS, THEIRS), (OURS_FEW, THEIRS_FEW))


# ----------------------------------------------------------------------------------------------------------- mi_lite


def ours(splits: Splits, seed: int) -> MIND:
    model: MIND = MIND.for_data(
        splits.interactions, features=False, dim=DIM, num_interests=INTERESTS, max_history=HISTORY, seed=seed
    )
    return model


def our_config(negatives: int, seed: int, learning_rate: float, **options: Any) -> TrainConfig:
    return TrainConfig(
        rule="target_picks", loss="sampled", negatives=negatives, sampler="uniform", batch_size=BATCH,
        learning_rate=learning_rate, seed=seed, **options,
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------ torch-rechub


def theirs(splits: Splits, seed: int) -> torch.nn.Module:
    from torch_rechub.basic.features import SequenceFeature, SparseFeature
    from torch_rechub.models.matching import MIND as PeerMIND

    torch.manual_seed(seed)
    table_ = splits.interactions
    size = table_.num_items + 1
    profile = [SparseFeature(f"profile_{p}", vocab_size=n, embed_dim=DIM) for p, n in enumerate(table_.profile_sizes)]
    item = SparseFeature("item", vocab_size=size, embed_dim=DIM)
    history, negatives = (
        SequenceFeature(name, vocab_size=size, embed_dim=DIM, pooling="concat", shared_with="item")
        for name in ("history", "negatives")
    )
    model: torch.nn.Module = PeerMIND(profile, [history], [item], [negatives], HISTORY, interest_num=INTERESTS)
    return model


def peer_inputs(examples: Examples) -> dict[str, torch.Tensor]:
    assert examples.profile is not None
    return {
        "history": torch.from_numpy(examples.history),
        "item": torch.from_numpy(examples.target),
        **{f"profile_{p}": torch.from_numpy(column.copy()) for p, column in enumerate(examples.profile.T)},
    }


def peer_epoch(
    model: Any, optimizer: torch.optim.Optimizer, inputs: dict[str, torch.Tensor], order: torch.Tensor,
    num_items: int, negatives: int, shared: bool, generator: torch.Generator,
) -> None:  # fmt: skip
    """One pass in the order given: the leanest loop for their model."""
    model.train()
    model.mode = None
    weights = torch.ones(num_items + 1)
    weights[0] = 0
    weights /= weights.sum()
    for rows in order.split(BATCH):
        x = {name: values[rows] for name, values in inputs.items()}
        if shared:  # the very draws that mi_lite.training makes from this seed
            drawn = torch.multinomial(weights, negatives, replacement=True, generator=generator).expand(len(rows), -1)
        else:
            drawn = torch.randint(1, num_items + 1, (len(rows), negatives), generator=generator)
        x["negatives"] = drawn
        scores = model(x)
        loss = torch.nn.functional.cross_entropy(scores, torch.zeros(len(rows), dtype=torch.int64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def peer_vectors(model: Any, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
    """(B, K, D)"""
    model.mode = "user"
    vectors: torch.Tensor = model(inputs)
    model.mode = None
    return vectors


@torch.no_grad()
def peer_evaluate(model: Any, splits: Splits, examples: Examples) -> Evaluation:
    model.eval()
    num_items = splits.interactions.num_items
    vectors = peer_vectors(model, peer_inputs(examples))
    model.mode = "item"
    items = model({"item": torch.arange(num_items + 1)})
    model.mode = None
    exclude = torch.from_numpy(splits.seen_before(examples))
    lists = top_n(vectors, items, 50, exclude=exclude)
    return evaluate_ranking(lists.items, examples.target, num_items)


def peer_train(
    splits: Splits, seed: int, learning_rate: float, epochs: int, negatives: int, shared: bool
) -> tuple[Any, list[float]]:
    """Their model in its best epoch, and the validation recall after each."""
    model = theirs(splits, seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    inputs = peer_inputs(splits.train)
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    recalls: list[float] = []
    best: dict[str, Any] = {}
    for _ in range(epochs):
        order = torch.from_numpy(rng.permutation(len(splits.train)))
        peer_epoch(model, optimizer, inputs, order, splits.interactions.num_items, negatives, shared, generator)
        recalls.append(float(peer_evaluate(model, splits, splits.validation).recall[20].mean()))
        if recalls[-1] == max(recalls):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return model, recalls


# --------------------------------------------------------------------------------------------------------------- both


def recall_and_curve(
    who: Contestant, splits: Splits, seed: int, learning_rate: float, epochs: int
) -> tuple[Evaluation, list[float]]:
    """Train one; its evaluation on the test targets, and its validation recall after each epoch."""
    if who.who == PEER:
        model, recalls = peer_train(splits, seed, learning_rate, epochs, who.negatives, who.shared)
        return peer_evaluate(model, splits, splits.test), recalls
    config = our_config(who.negatives, seed, learning_rate, epochs=epochs, patience=epochs)
    done = train(ours(splits, seed), splits, config)
    return evaluate(done.model, splits.test, splits.seen_before(splits.test)), done.recalls


class Trainer:
    """Trains one contestant for so many steps a call, and keeps the seconds of training proper."""

    def __init__(self, who: Contestant, splits: Splits, steps: int) -> None:
        self.who, self.splits, self.examples = who, splits, steps * BATCH
        self.seconds: list[float] = []
        if who.who == PEER:
            self.inputs = peer_inputs(splits.train)
            self.model = theirs(splits, 0)
            self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.003)
            self.generator, self.rng = torch.Generator().manual_seed(0), np.random.default_rng(0)

    def __call__(self) -> None:
        if self.who.who != PEER:  # train() also validates, and says what training proper took
            config = our_config(self.who.negatives, 0, 0.003, epochs=1, examples_per_epoch=self.examples)
            self.seconds.append(train(ours(self.splits, 0), self.splits, config).seconds)
            return
        start = time.perf_counter()
        order = torch.from_numpy(self.rng.permutation(len(self.splits.train))[: self.examples])
        peer_epoch(
            self.model, self.optimizer, self.inputs, order, self.splits.interactions.num_items, self.who.negatives,
            self.who.shared, self.generator,
        )  # fmt: skip
        self.seconds.append(time.perf_counter() - start)


def speed(splits: Splits, runs: int, steps: int) -> dict[str, Any]:
    """Training and inference, all contestants in turn."""
    trainers = {who.name: Trainer(who, splits, steps) for who in ALL}
    alternate(trainers, runs, warm_up=1)
    slow = Trainer(THEIRS_MANY, splits, max(1, steps // 10))
    alternate({slow.who.name: slow}, max(3, runs // 5), warm_up=0)
    trainers[slow.who.name] = slow
    seconds = {name: trainer.seconds[-runs:] for name, trainer in trainers.items()}
    mine, rows = ours(splits, 0).eval(), splits.test[: min(BATCH, len(splits.test))]
    assert rows.profile is not None
    x, history, profile = peer_inputs(rows), torch.from_numpy(rows.history), torch.from_numpy(rows.profile)
    model = trainers[THEIRS.name].model.eval()
    with torch.no_grad():
        inference = alternate(
            {"mi_lite": lambda: mine.interests(history, profile=profile), PEER: lambda: peer_vectors(model, x)}, runs
        )
    return {
        "training_examples_per_second": {
            **{name: trainer.examples / statistics.median(seconds[name]) for name, trainer in trainers.items()},
            f"{THEIRS.name}, its own trainer and data loader": _their_trainer(splits, 20 * BATCH, THEIRS.negatives),
        },
        "training_times_as_fast": [
            {"fast": a.name, "slow": b.name, **ratio(seconds[b.name], seconds[a.name])} for a, b in PAIRS
        ],
        "inference_users_per_second": {name: len(rows) / statistics.median(t) for name, t in inference.items()},
        "inference_times_as_fast": ratio(inference[PEER], inference["mi_lite"]),
        "examples_a_run": steps * BATCH,
        "seconds_a_run": seconds,
    }


def _their_trainer(splits: Splits, number: int, negatives: int) -> float:
    """Examples a second of torch-rechub's MatchTrainer over its own data loader (in this process)."""
    from torch_rechub.trainers import MatchTrainer
    from torch_rechub.utils.data import TorchDataset

    rng = np.random.default_rng(0)
    x: dict[str, Any] = {name: values[:number].numpy() for name, values in peer_inputs(splits.train).items()}
    x["negatives"] = rng.integers(1, splits.interactions.num_items + 1, (number, negatives))
    loader = torch.utils.data.DataLoader(TorchDataset(x, np.zeros(number)), batch_size=BATCH, shuffle=True)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        trainer = MatchTrainer(
            theirs(splits, 0), mode=2, optimizer_params={"lr": 0.003, "weight_decay": 0}, model_path=folder
        )
        trainer.train_one_epoch(loader)
        start = time.perf_counter()
        trainer.train_one_epoch(loader)
        return number / (time.perf_counter() - start)


def memory(who: Contestant, splits: Splits) -> float:
    """MiB that ten training steps and a validation take at their peak beyond the data; for a process of its own."""
    trainer = Trainer(who, splits, 10)
    before = peak_memory()
    trainer()
    if who.who == PEER:  # ours has validated already
        peer_evaluate(trainer.model, splits, splits.validation)
    return peak_memory() - before


def quality(splits: Splits, seeds: int, epochs: int, rates: tuple[float, ...]) -> dict[str, Any]:
    """Learning rates on validation (seed 0), then all seeds on the test targets, the contestants in turn."""
    chosen: dict[str, float] = {}
    tried: dict[str, dict[str, float]] = {}
    for who in ALL:
        found = {rate: max(recall_and_curve(who, splits, 0, rate, epochs)[1]) for rate in rates}
        chosen[who.name] = max(found, key=lambda rate, found=found: found[rate])  # type: ignore[misc]
        tried[who.name] = {str(rate): value for rate, value in found.items()}
        print(f"{who.name}: learning rate {chosen[who.name]}; validation recall@20 {tried[who.name]}", flush=True)
    recall: dict[int, dict[str, list[np.ndarray]]] = {n: {who.name: [] for who in ALL} for n in (20, 50)}
    curves: dict[str, list[list[float]]] = {who.name: [] for who in ALL}
    for seed in range(seeds):
        for who in ALL:
            evaluation, curve = recall_and_curve(who, splits, seed, chosen[who.name], epochs)
            curves[who.name].append(curve)
            for n in (20, 50):
                recall[n][who.name].append(evaluation.recall[n])
            print(f"seed {seed}, {who.name}: recall@20 {evaluation.recall[20].mean():.3f}", flush=True)
    at_20 = {name: np.stack(runs) for name, runs in recall[20].items()}
    return {
        "epochs": epochs,
        "examples_seen": epochs * len(splits.train),
        "learning_rates": chosen,
        "validation_recall_by_learning_rate": tried,
        **{
            f"recall@{n}": {name: spread(np.stack(runs).mean(axis=1)) for name, runs in recall[n].items()}
            for n in (20, 50)
        },
        "recall@20_by_seed": {name: users.mean(axis=1).tolist() for name, users in at_20.items()},
        "difference": [
            {"of": a.name, "less": b.name, **paired_interval(at_20[a.name], at_20[b.name])._asdict()} for a, b in PAIRS
        ],
        "validation_recall_by_epoch": curves,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--runs", type=int, default=15, help="turns of the speed comparison")
    parser.add_argument("--steps", type=int, default=40, help="training steps a turn")
    parser.add_argument("--seeds", type=int, default=5, help="at least 2")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rates", type=float, nargs="+", default=LEARNING_RATES)
    parser.add_argument("--only", choices=["speed", "quality"], help="half of it; writes no result")
    parser.add_argument("--memory", type=int, help="(used by the program itself) measure one and print JSON")
    parser.add_argument("--dry", action="store_true", help="write no result")
    options = parser.parse_args()
    if not peer_is_installed():
        sys.exit(
            f"torch-rechub is not installed. It goes into a folder of its own, by\n    {INSTALL}\nThen run this again."
        )
    torch.set_num_threads(options.threads)
    splits = leave_one_out(movielens_100k(), max_history=HISTORY)
    if options.memory is not None:
        print(json.dumps({"mib": memory(ALL[options.memory], splits)}))
        return
    result: dict[str, Any] = {
        "what": "MIND of mi_lite beside MIND of torch-rechub, MovieLens-100K; negatives shared by a batch or own ones",
        "machine": machine(),
        "settings": {"D": DIM, "K": INTERESTS, "T": HISTORY, "batch": BATCH, "threads": options.threads},
    }
    cells = {who.name: {"": who.name} for who in ALL}
    if options.only != "quality":
        fast = result["speed"] = speed(splits, options.runs, options.steps)
        result["peak_mib"] = {}
        for i, who in enumerate(ALL):
            arguments = [f"--threads={options.threads}", f"--memory={i}"]
            mib = in_a_process_of_its_own("benchmarks.mind_vs_torch_rechub", arguments)["mib"]
            result["peak_mib"][who.name] = mib
            cells[who.name] |= {
                "train ex/s": f"{fast['training_examples_per_second'][who.name]:,.0f}",
                "infer users/s": f"{fast['inference_users_per_second'][who.who]:,.0f}",
                "peak MiB": f"{mib:.0f}",
            }
    if options.only != "speed":
        good = result["quality"] = quality(splits, options.seeds, options.epochs, tuple(options.rates))
        for who in ALL:
            for n in (20, 50):
                mean, deviation = good[f"recall@{n}"][who.name]
                cells[who.name][f"recall@{n}"] = f"{mean:.3f} ± {deviation:.3f}"
    head = list(cells[OURS.name])
    print("\n" + table([head] + [[row[column] for column in head] for row in cells.values()]), end="\n\n")
    if "speed" in result:
        for name in (THEIRS_MANY.name, f"{THEIRS.name}, its own trainer and data loader"):
            print(f"{name}: {result['speed']['training_examples_per_second'][name]:,.0f} examples/s in training")
        for pair in result["speed"]["training_times_as_fast"]:
            print(
                f"{pair['fast']} trains {pair['of_medians']:.2f} times as fast as {pair['slow']} "
                f"(quartiles {pair['first_quartile']:.2f} to {pair['third_quartile']:.2f})"
            )
        print(f"inference: {result['speed']['inference_times_as_fast']['of_medians']:.2f} times as fast")
    if "quality" in result:
        for d in result["quality"]["difference"]:
            print(
                f"recall@20, {d['of']} less {d['less']}: {d['mean']:+.3f} [{d['low']:+.3f}, {d['high']:+.3f}] (95 %), "
                f"after {result['quality']['examples_seen']:,} examples each"
            )
    if not (options.dry or options.only):
        store("mind_vs_torch_rechub", result)


if __name__ == "__main__":
    main()

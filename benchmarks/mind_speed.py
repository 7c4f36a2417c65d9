"""How fast is MIND, how much memory does it take, and how do both grow with T, K, D and the batch?

    python -m benchmarks.mind_speed

Each size runs in a process of its own, on histories of exactly T random items (nothing is saved on padding): training
through `mi_lite.training.train` as anyone calls it, validation left out of the time; inference from item ids to K
vectors a user; and retrieval of the 50 best of the catalogue's items by them. Memory is what the process took at its
peak beyond what it held when the model and the data were ready.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from typing import Any

import numpy as np
import torch

from benchmarks._common import in_a_process_of_its_own, machine, peak_memory, store, table
from mi_lite.data import Interactions, Splits, leave_one_out
from mi_lite.mind import MIND
from mi_lite.retrieval import top_n
from mi_lite.training import TrainConfig, train

BASE = {"T": 50, "K": 4, "D": 32, "batch": 512}
GROWTH = {"T": (10, 25, 100, 200), "K": (1, 2, 8, 16), "D": (16, 64, 128), "batch": (128, 2048)}
NUM_ITEMS = 1682
USERS = 4096


def full_histories(T: int) -> Splits:
    """One training example for each user, with a history of exactly T different items."""
    rng = np.random.default_rng(0)
    length = T + 3
    items = np.concatenate([1 + rng.permutation(NUM_ITEMS)[:length] for _ in range(USERS)])
    user = np.repeat(np.arange(USERS), length)
    time_ = np.tile(np.arange(length), USERS)
    table_ = Interactions(user=user, item=items, time=time_, num_users=USERS, num_items=NUM_ITEMS)
    splits = leave_one_out(table_, max_history=T, min_history=T)
    few = np.arange(64)  # validation is not what is measured
    return dataclasses.replace(splits, validation=splits.validation[few])


def measure(T: int, K: int, D: int, batch: int, loss: str, seconds: float) -> dict[str, float]:
    """One size; meant for a process of its own."""
    splits = full_histories(T)
    history = torch.from_numpy(splits.train.history)
    model = MIND(NUM_ITEMS, D, K, max_history=T)
    before = peak_memory()

    # Inference comes first: it takes the least memory, and a peak never falls.
    model.eval()
    with torch.no_grad():
        batches = history.split(batch)
        vectors = _repeat(lambda i: model.interests(batches[i % len(batches)]), seconds)
        inference_memory = peak_memory() - before
        user = model.interests(batches[0])
        item_vectors = model.item_vectors()
        exclude = batches[0]
        lists = _repeat(lambda i: top_n(user.vectors, item_vectors, 50, exclude=exclude), seconds)

    config = TrainConfig(loss=loss, epochs=1, batch_size=batch, patience=10**6)
    warm = train(model, splits, config)
    epochs = max(1, round(seconds / warm.seconds))
    runs = [train(model, splits, dataclasses.replace(config, epochs=epochs)) for _ in range(3)]
    return {
        "training_examples_per_second": statistics.median(run.examples_seen / run.seconds for run in runs),
        "inference_users_per_second": len(batches[0]) / vectors,
        "retrieval_users_per_second": len(batches[0]) / lists,
        "inference_mib": inference_memory,
        "training_mib": peak_memory() - before,
        "process_mib": peak_memory(),
    }


def _repeat(run: Any, seconds: float) -> float:
    """Median seconds of a call, over about so many seconds."""
    for i in range(2):
        run(i)
    times: list[float] = []
    while sum(times) < seconds or len(times) < 5:
        start = time.perf_counter()
        run(len(times))
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--loss", default="full", choices=["full", "sampled"])
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement, about")
    parser.add_argument("--one", help="(used by the program itself) measure one size and print JSON")
    parser.add_argument("--dry", action="store_true", help="write no result")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.one:
        print(json.dumps(measure(**json.loads(options.one), loss=options.loss, seconds=options.seconds)))
        return

    result: dict[str, Any] = {
        "what": f"MIND, {NUM_ITEMS} items, {options.loss} softmax", "machine": machine(), "base": BASE, "sizes": [],
    }  # fmt: skip
    head = ["", "train ex/s", "infer users/s", "top 50 users/s", "infer MiB", "train MiB"]
    rows = [head]
    for size in [BASE] + [BASE | {letter: n} for letter, values in GROWTH.items() for n in values]:
        found = in_a_process_of_its_own(
            "benchmarks.mind_speed",
            [
                f"--threads={options.threads}",
                f"--loss={options.loss}",
                f"--seconds={options.seconds}",
                f"--one={json.dumps(size)}",
            ],
        )
        result["sizes"].append({**size, **found})
        name = " ".join(f"{letter}={n}" for letter, n in size.items())
        rows.append(
            [
                name,
                f"{found['training_examples_per_second']:,.0f}",
                f"{found['inference_users_per_second']:,.0f}",
                f"{found['retrieval_users_per_second']:,.0f}",
                f"{found['inference_mib']:.0f}",
                f"{found['training_mib']:.0f}",
            ]
        )
        print(f"{name}: {rows[-1][1]} examples/s", flush=True)
    print("\n" + table(rows))
    if not options.dry:
        store("mind_speed", result)


if __name__ == "__main__":
    main()

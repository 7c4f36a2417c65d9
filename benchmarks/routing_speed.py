"""How much does routing cost beyond the matrix products it contains?

    python -m benchmarks.routing_speed

The bare products of B2I routing with R iterations are S e_i once, R weighted sums and R - 1 agreements. Whatever
routing takes beyond them is overhead: softmax, squash, masks, checks of the arguments, the trace. All contestants run
in turn, without gradients, on the same random histories, half of them padded. Where torch-rechub is installed (see
benchmarks/requirements.txt), its routing layer runs along.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from typing import Any

import torch

from benchmarks._common import INSTALL, alternate, machine, peer_is_installed, ratio, store, table
from mi_lite.routing import b2i_routing

ITERATIONS = 3
BASE = {"B": 512, "T": 50, "K": 4, "D": 64}
GROWTH = {"B": (128, 2048), "T": (20, 200), "K": (1, 2, 8, 16), "D": (16, 32, 128)}


def contestants(B: int, T: int, K: int, D: int, *, peer: bool = False) -> dict[str, Callable[[], Any]]:
    """What runs in turn on one size."""
    g = torch.Generator().manual_seed(0)
    behaviors = torch.randn(B, T, D, generator=g)
    bilinear = torch.randn(D, D, generator=g) / D**0.5
    logits = torch.randn(B, T, K, generator=g)
    lengths = torch.where(torch.rand(B, generator=g) < 0.5, T, torch.randint(1, T + 1, (B,), generator=g))
    mask = torch.arange(T) < lengths[:, None]
    weights = torch.softmax(logits, 2).masked_fill(~mask[:, :, None], 0).transpose(1, 2).contiguous()

    def bare() -> torch.Tensor:
        votes = behaviors @ bilinear.T
        for r in range(ITERATIONS):
            interests = weights @ votes
            if r < ITERATIONS - 1:
                interests @ votes.transpose(1, 2)
        return interests

    found: dict[str, Callable[[], Any]] = {
        "bare products": bare,
        "b2i_routing, logits given": lambda: b2i_routing(
            behaviors, bilinear, K, mask=mask, logits=logits, iterations=ITERATIONS
        ),
        "b2i_routing, logits drawn": lambda: b2i_routing(behaviors, bilinear, K, mask=mask, iterations=ITERATIONS),
    }
    if peer and not peer_is_installed():
        print(f"torch-rechub is not installed, so its layer is left out. To have it: {INSTALL}")
    elif peer:
        from torch_rechub.basic.layers import CapsuleNetwork

        layer = CapsuleNetwork(D, T, bilinear_type=0, interest_num=K, routing_times=ITERATIONS)
        numbers = mask.long()
        found["torch-rechub CapsuleNetwork"] = lambda: layer(behaviors, numbers)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dry", action="store_true", help="write no result")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    result: dict[str, Any] = {
        "what": "seconds a call, no gradient", "machine": machine(), "base": BASE, "iterations": ITERATIONS,
        "runs": options.runs,
    }  # fmt: skip

    with torch.no_grad():
        seconds = alternate(contestants(**BASE, peer=True), options.runs, warm_up=5)
        bare = seconds["bare products"]
        rows = [["B=512 T=50 K=4 D=64, 3 iterations", "median ms", "x bare", "quartiles"]]
        result["contestants"] = {}
        for name, times in seconds.items():
            beside = ratio(times, bare)
            result["contestants"][name] = {"median": statistics.median(times), "times_bare": beside, "all": times}
            rows.append(
                [
                    name,
                    f"{1e3 * statistics.median(times):.2f}",
                    f"{beside['of_medians']:.2f}",
                    f"{beside['first_quartile']:.2f} - {beside['third_quartile']:.2f}",
                ]
            )
        print(table(rows), end="\n\n")

        rows = [["b2i_routing, logits given", "ms", "bare ms", "x bare", "users/s"]]
        result["growth"] = []
        for size in [BASE] + [BASE | {letter: n} for letter, values in GROWTH.items() for n in values]:
            some = contestants(**size)
            del some["b2i_routing, logits drawn"]
            seconds = alternate(some, max(5, options.runs // 3))
            ours = statistics.median(seconds["b2i_routing, logits given"])
            products = statistics.median(seconds["bare products"])
            result["growth"].append({**size, "seconds": ours, "bare": products})
            rows.append(
                [
                    " ".join(f"{letter}={n}" for letter, n in size.items()),
                    f"{1e3 * ours:.2f}",
                    f"{1e3 * products:.2f}",
                    f"{ours / products:.2f}",
                    f"{size['B'] / ours:,.0f}",
                ]
            )
        print(table(rows))
    if not options.dry:
        store("routing_speed", result)


if __name__ == "__main__":
    main()

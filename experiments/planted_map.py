"""When do several vectors pay? Dimensions x concepts, and the number of interests, in planted worlds, five seeds."""

from __future__ import annotations

from typing import Any

from experiments import Experiment, stored
from experiments.measure import best
from experiments.planted_tuning import FAMILIES, WORLDS, canary, run

SEEDS = range(5)
CROWDED = dict(concepts=100, dim=8)


def tuned(family: str, world: dict[str, Any]) -> dict[str, Any]:
    """The best of the four trials of a model in the crowded world of this dimension."""
    wide = {"wide": FAMILIES[family].get("wide")}
    chosen = best(stored("planted_tuning"), **{**FAMILIES[family], **wide, "dim": world["dim"]})
    return {**chosen, **world}


def _configs() -> list[dict[str, Any]]:
    rows = [dict(label=name, **tuned(name, world)) for world in WORLDS for name in FAMILIES]
    rows += [
        dict(label=f"MIND, log-sum-exp, K={k}", **tuned("MIND, log-sum-exp", CROWDED), num_interests=k)
        for k in (1, 2, 8)
    ]
    return [{**row, "seed": seed} for row in rows for seed in SEEDS]


if __name__ == "__main__":
    Experiment("planted_map", __doc__ or "", _configs(), run, canary, users=1000).main()

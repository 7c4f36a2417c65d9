"""When do several vectors pay? Dimensions x concepts, and the number of interests, in planted worlds, five seeds."""

from __future__ import annotations

from typing import Any

from experiments import Experiment
from experiments.measure import best
from experiments.planted_tuning import CROWDED, FAMILIES, SWEEP, WORLDS, canary, run
from mi_lite.results import stored

SEEDS = range(5)


def tuned(family: str, world: dict[str, Any]) -> dict[str, Any]:
    """The best trial, by validation, of a model in the world of 100 concepts and this dimension."""
    model = {**FAMILIES, **SWEEP}[family]
    return {**best(stored("planted_tuning"), **model, dim=world["dim"]), **world}


def _configs() -> list[dict[str, Any]]:
    rows = [dict(label=name, **tuned(name, world)) for world in WORLDS for name in FAMILIES]
    rows += [dict(label=name, **tuned(name, CROWDED)) for name in SWEEP]
    return [{**row, "seed": seed} for row in rows for seed in SEEDS]


if __name__ == "__main__":
    Experiment("planted_map", __doc__ or "", _configs(), run, canary, users=1000).main()

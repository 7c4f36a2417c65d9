"""Which settings suit each model in planted worlds of 4, 8 and 32 dimensions? Four trials for each, by validation."""

from __future__ import annotations

from typing import Any

from experiments import Experiment
from experiments.measure import build, first_losses, measure, planted, train_config

#: shared by every model in the planted worlds
TRAINING = dict(loss="sampled", negatives=256, epochs=60, batch_size=256, patience=4)
WORLDS = [dict(concepts=concepts, dim=dim) for dim in (4, 8, 32) for concepts in (20, 100)]
#: `wide` times the world's dimension is the model's
FAMILIES: dict[str, dict[str, Any]] = {
    "single": dict(model="single", rule="target_picks"),
    "single, four times as long": dict(model="single", rule="target_picks", wide=4),
    "MIND, target picks": dict(model="MIND", rule="target_picks"),
    "MIND, log-sum-exp": dict(model="MIND", rule="logsumexp"),
}


def _parts(config: dict[str, Any]) -> tuple[Any, Any, Any]:
    world, splits = planted(config["concepts"], config["dim"], config["seed"])
    options = {k: v for k, v in config.items() if k != "wide"}
    options["dim"] = config["dim"] * config.get("wide", 1)
    return build(options, world.interactions, 25, features=False, profile=False), world, splits


def run(config: dict[str, Any]) -> dict[str, Any]:
    model, world, splits = _parts(config)
    return measure(model, splits, train_config(config, **TRAINING), world)


def canary(config: dict[str, Any]) -> list[float]:
    model, _, splits = _parts(config)
    options = {k: v for k, v in config.items() if k in ("rule", "learning_rate", "seed")}
    return first_losses(model, splits, {**TRAINING, **options})


CONFIGS = [
    dict(**family, **world, hidden=hidden, learning_rate=rate, seed=0)
    for world in WORLDS
    if world["concepts"] == 100
    for family in FAMILIES.values()
    for hidden in (0, 64)
    for rate in (0.01, 0.03)
]

if __name__ == "__main__":
    Experiment("planted_tuning", __doc__ or "", CONFIGS, run, canary, users=1000).main()

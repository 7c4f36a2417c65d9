"""Which settings suit each model in planted worlds of 4, 8 and 32 dimensions? Fourteen trials each, by validation."""

from __future__ import annotations

from typing import Any

from experiments import Experiment
from experiments.measure import build, first_losses, measure, planted, train_config

#: shared by every model in the planted worlds
TRAINING = dict(loss="sampled", negatives=256, epochs=60, batch_size=256, patience=4)
WORLDS = [dict(concepts=concepts, dim=dim) for dim in (4, 8, 32) for concepts in (20, 100)]
#: Where the number of interests is swept.
CROWDED = dict(concepts=100, dim=8)
SMOOTH = dict(model="MIND", rule="logsumexp")
#: `wide` times the world's dimension is the model's.
FAMILIES: dict[str, dict[str, Any]] = {
    "single": dict(model="single", rule="target_picks", wide=1),
    "single, four times as long": dict(model="single", rule="target_picks", wide=4),
    "MIND, target picks": dict(model="MIND", rule="target_picks", num_interests=4),
    "MIND, log-sum-exp": dict(**SMOOTH, num_interests=4),
}
#: The K sweep of the crowded world: every K has its own trials, K = 4 is above.
SWEEP: dict[str, dict[str, Any]] = {f"MIND, log-sum-exp, K={k}": dict(**SMOOTH, num_interests=k) for k in (1, 2, 8)}
#: The same trials for everyone. Where someone was best at the edge of the rates (always without the projection layer),
#: the rates went on for everyone.
RATES = {0: (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0), 64: (0.003, 0.01, 0.03, 0.1, 0.3)}
TRIALS = [dict(hidden=hidden, learning_rate=rate) for hidden, rates in RATES.items() for rate in rates]


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


def _trials(family: dict[str, Any], world: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(**family, **world, **trial, seed=0) for trial in TRIALS]


CONFIGS = [
    config
    for world in WORLDS
    if world["concepts"] == 100
    for family in [*FAMILIES.values(), *(SWEEP.values() if world == CROWDED else ())]
    for config in _trials(family, world)
]

if __name__ == "__main__":
    Experiment("planted_tuning", __doc__ or "", CONFIGS, run, canary, users=1000).main()

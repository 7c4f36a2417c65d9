"""Which settings suit each model on MovieLens-100K? Fifteen trials for each, one seed, by validation."""

from __future__ import annotations

from typing import Any

from experiments import Experiment
from experiments.measure import build, first_losses, measure, movielens, train_config

#: shared by every model on MovieLens-100K
TRAINING = dict(loss="sampled", negatives=512, epochs=25, examples_per_epoch=20_480, batch_size=512, patience=4)
FAMILIES: dict[str, dict[str, Any]] = {
    "single": dict(model="single", rule="target_picks", dim=32),
    "single, four times as long": dict(model="single", rule="target_picks", dim=128),
    "MIND 4, target picks": dict(model="MIND", rule="target_picks", num_interests=4),
    **{f"MIND {k}": dict(model="MIND", rule="logsumexp", num_interests=k) for k in (1, 2, 4, 8)},
}
#: (projection layer, profile): a profile needs the layer
LAYERS = [(64, True), (64, False), (0, False)]
RATES = (0.0015, 0.005, 0.015, 0.045, 0.135)


def run(config: dict[str, Any]) -> dict[str, Any]:
    interactions, splits = movielens()
    return measure(_model(config, interactions), splits, train_config(config, **TRAINING))


def canary(config: dict[str, Any]) -> list[float]:
    interactions, splits = movielens()
    options = {k: v for k, v in config.items() if k in ("rule", "learning_rate", "seed")}
    return first_losses(_model(config, interactions), splits, {**TRAINING, **options})


def _model(config: dict[str, Any], interactions: Any) -> Any:
    return build(config, interactions, 50, dim=32)


CONFIGS = [
    dict(**family, recency=True, hidden=hidden, profile=profile, learning_rate=rate, seed=0)
    for family in FAMILIES.values()
    for hidden, profile in LAYERS
    for rate in RATES
]

if __name__ == "__main__":
    Experiment("movielens_tuning", __doc__ or "", CONFIGS, run, canary, users=943).main()

"""What does each variant of MIND found in public code change? A crowded planted world, five seeds."""

from __future__ import annotations

from typing import Any

from experiments import Experiment
from experiments.planted_map import SEEDS, tuned
from experiments.planted_tuning import CROWDED, canary, run

VARIANTS: dict[str, dict[str, Any]] = {
    "as in chapter 4": {},
    "logits far apart": dict(start="far_apart"),
    "softmax over behaviors": dict(axis="behaviors"),
    "1 iteration": dict(iterations=1),
    "rule: max": dict(rule="max"),
    "rule: label-aware, p=1": dict(rule="label_aware", power=1.0),
    "rule: label-aware, p=0": dict(rule="label_aware", power=0.0),
    "rule: label-aware, p=8": dict(rule="label_aware", power=8.0),
    "adaptive number of interests": dict(adaptive=True),
    "logits fresh at every call": dict(start="fresh"),
    "logits learned": dict(start="learned"),
    "assign instead of accumulate": dict(update="assign"),
    "popular negatives, log-Q": dict(sampler="popularity"),
    "popular negatives, no log-Q": dict(sampler="popularity", log_q=False),
    "logits zero, own maps": dict(start="zero", maps="own"),
    "gradient through all iterations": dict(gradient="all"),
}


def _configs() -> list[dict[str, Any]]:
    base = tuned("MIND, log-sum-exp", CROWDED)
    return [{"label": name, **base, **change, "seed": seed} for name, change in VARIANTS.items() for seed in SEEDS]


if __name__ == "__main__":
    Experiment("planted_variants", __doc__ or "", _configs(), run, canary, users=1000).main()

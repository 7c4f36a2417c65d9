"""Do several vectors help a real reader's list? Single vector and MIND on MovieLens-100K, five seeds."""

from __future__ import annotations

from typing import Any

from experiments import Experiment, stored
from experiments.measure import best
from experiments.movielens_tuning import FAMILIES, canary, run

SEEDS = range(5)


def _configs() -> list[dict[str, Any]]:
    tuned = {name: best(stored("movielens_tuning"), **family) for name, family in FAMILIES.items()}
    single, picks, smooth = (tuned[name] for name in FAMILIES)
    four = dict(num_interests=4)
    rows: list[dict[str, Any]] = [
        dict(label="single", **single),
        dict(label="single, four times as long", **single, dim=128),
        dict(label="single, no recency", **{**single, "recency": False}),
        *(dict(label=f"MIND {k}", **smooth, num_interests=k) for k in (1, 2, 4, 8)),
        dict(label="MIND 4, target picks", **picks, **four),
        dict(label="MIND 4, label-aware p=1", **{**picks, "rule": "label_aware"}, power=1.0, **four),
        dict(label="MIND 4, max", **{**smooth, "rule": "max"}, **four),
        dict(label="MIND 4, no recency", **{**smooth, "recency": False}, **four),
        dict(label="MIND 4, target picks, no recency", **{**picks, "recency": False}, **four),
        dict(label="MIND 4, fresh logits", **smooth, **four, start="fresh"),
        dict(label="MIND 4, far-apart logits", **smooth, **four, start="far_apart"),
        dict(label="MIND 4, softmax over behaviors", **smooth, **four, axis="behaviors"),
        dict(label="MIND 4, own maps", **smooth, **four, maps="own", start="zero"),
    ]
    return [{**row, "seed": seed} for row in rows for seed in SEEDS]


if __name__ == "__main__":
    Experiment("movielens_mind", __doc__ or "", _configs(), run, canary, users=943).main()

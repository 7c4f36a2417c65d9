"""Do several vectors help a real reader's list? Single vector and MIND on MovieLens-100K, five seeds."""

from __future__ import annotations

from typing import Any

from experiments import Experiment
from experiments.measure import best
from experiments.movielens_tuning import FAMILIES, canary, run
from mi_lite.results import stored

SEEDS = range(5)


def _configs() -> list[dict[str, Any]]:
    tuned = {name: best(stored("movielens_tuning"), **family) for name, family in FAMILIES.items()}
    single, picks, smooth = (tuned[name] for name in ("single", "MIND 4, target picks", "MIND 4"))
    rows: list[dict[str, Any]] = [
        *(dict(label=name, **config) for name, config in tuned.items()),
        dict(label="single, no recency", **{**single, "recency": False}),
        dict(label="MIND 4, label-aware p=1", **{**picks, "rule": "label_aware"}, power=1.0),
        dict(label="MIND 4, max", **{**smooth, "rule": "max"}),
        dict(label="MIND 4, no recency", **{**smooth, "recency": False}),
        dict(label="MIND 4, target picks, no recency", **{**picks, "recency": False}),
        dict(label="MIND 4, fresh logits", **smooth, start="fresh"),
        dict(label="MIND 4, far-apart logits", **smooth, start="far_apart"),
        dict(label="MIND 4, softmax over behaviors", **smooth, axis="behaviors"),
        dict(label="MIND 4, own maps", **smooth, maps="own", start="zero"),
    ]
    return [{**row, "seed": seed} for row in rows for seed in SEEDS]


if __name__ == "__main__":
    Experiment("movielens_mind", __doc__ or "", _configs(), run, canary, users=943).main()

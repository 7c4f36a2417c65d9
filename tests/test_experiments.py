"""Stored experiments still describe the code (each canary, replayed), were tuned fairly, and fit their budget."""

from __future__ import annotations

import importlib
import re
import warnings
from typing import Any

import numpy as np
import pytest

import experiments
from experiments import movielens_tuning
from experiments.measure import best
from experiments.planted_tuning import FAMILIES, SWEEP, TRIALS
from mi_lite.results import FOLDER, hits, names, pack, select, stored, values

NAMES = names()
FOLDER_OF_SCRIPTS = experiments.ROOT / "experiments"
SCRIPTS = sorted(
    path.stem for path in FOLDER_OF_SCRIPTS.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()
)
#: Losses of five steps: on this machine repeated runs agree to the last digit, other thread counts to 1e-5.
TOLERANCE = 1e-3
#: All stored experiments together, on two cores.
MINUTES = 45


def test_every_experiment_is_stored():
    assert NAMES == SCRIPTS
    assert FOLDER == experiments.ROOT / "mi_lite" / "results"


@pytest.mark.parametrize("name", NAMES)
def test_canary(name):
    result = stored(name)
    canary = result["canary"]
    replayed = importlib.import_module(f"experiments.{name}").canary(canary["config"])
    np.testing.assert_allclose(
        replayed, canary["numbers"], rtol=TOLERANCE,
        err_msg=f"the stored results of {name} no longer describe the code; run: {result['command']}",
    )  # fmt: skip
    if result["fingerprint"] != experiments.fingerprint():
        warnings.warn(f"{name}: mi_lite changed since these results were stored; its canary agrees", stacklevel=1)


def test_the_fingerprint_covers_what_is_measured():
    measured = {path.relative_to(experiments.ROOT / "mi_lite").as_posix() for path in experiments.measured_files()}
    assert {"routing.py", "mind.py", "training.py", "losses.py", "metrics.py", "data/synthetic.py"} <= measured
    assert not any(path.startswith(("explorables/", "results/", "figures")) for path in measured)


@pytest.mark.parametrize("name", NAMES)
def test_stored_runs_are_whole(name):
    result = stored(name)
    seeds: dict[str, set[int]] = {}
    for run in result["runs"]:
        assert all(np.isfinite(value) for value in run["numbers"].values()), run["config"]
        key = str({k: v for k, v in run["config"].items() if k != "seed"})
        seeds.setdefault(key, set()).add(run["config"]["seed"])
    numbers = {len(s) for s in seeds.values()}
    assert numbers == ({1} if name.endswith("tuning") else {5}), numbers


@pytest.mark.parametrize("name", NAMES)
def test_stored_runs_are_those_the_script_asks_for(name):
    """Nothing is left from an earlier choice of settings, and the tuned settings are those of the stored trials."""
    module = importlib.import_module(f"experiments.{name}")
    wanted = module.CONFIGS if hasattr(module, "CONFIGS") else module._configs()
    assert [run["config"] for run in stored(name)["runs"]] == wanted


def trials() -> dict[str, list[dict[str, Any]]]:
    """The trials of each model, and of each number of interests, in each planted dimension and on MovieLens."""
    planted, films = stored("planted_tuning"), stored("movielens_tuning")
    found = {
        f"{name}, D={d}": select(planted, **family, dim=d) for name, family in FAMILIES.items() for d in (4, 8, 32)
    }
    found |= {f"{name}, D=8": select(planted, **family) for name, family in SWEEP.items()}
    return found | {f"{name}, films": select(films, **family) for name, family in movielens_tuning.FAMILIES.items()}


def test_every_model_had_the_same_trials():
    films = [
        dict(hidden=hidden, profile=profile, learning_rate=rate)
        for hidden, profile in movielens_tuning.LAYERS
        for rate in movielens_tuning.RATES
    ]
    for name, runs in trials().items():
        wanted = films if name.endswith("films") else TRIALS
        assert [{k: r["config"][k] for k in wanted[0]} for r in runs] == wanted, name


def test_no_model_is_best_at_the_edge_of_the_learning_rates():
    for name, runs in trials().items():
        chosen = max(runs, key=lambda r: r["numbers"]["validation"])["config"]
        rates = sorted(r["config"]["learning_rate"] for r in runs if r["config"]["hidden"] == chosen["hidden"])
        assert rates[0] < chosen["learning_rate"] < rates[-1], f"{name}: {chosen}"


def test_the_planted_map_uses_the_best_trial_of_each_model():
    tuning, trained = stored("planted_tuning"), stored("planted_map")
    for name, family in {**FAMILIES, **SWEEP}.items():
        for run in select(trained, label=name):
            chosen = best(tuning, **family, dim=run["config"]["dim"])
            assert all(run["config"][k] == chosen[k] for k in ("hidden", "learning_rate")), run["config"]


def test_all_experiments_fit_the_budget():
    runs = [run for name in NAMES for run in stored(name)["runs"]]
    minutes = sum(run["cpu_seconds"] for run in runs) / 2 / 60
    assert all(run["cpu_seconds"] > 0 for run in runs) and minutes <= MINUTES, f"{minutes:.0f} minutes on two cores"
    said = re.search(r"(\d+) runs, (\d+) minutes", " ".join((experiments.__doc__ or "").split()))
    assert said and [int(x) for x in said.groups()] == [len(runs), round(minutes)], (len(runs), minutes)


def test_a_run_is_stored_with_its_cost():
    def run(config: dict[str, Any]) -> dict[str, Any]:
        return {"numbers": {"sum": float(sum(range(config["n"])))}}

    timed = experiments._timed(run, {"n": 2_000_000})
    assert timed["numbers"] == {"sum": 1999999000000.0}
    assert 0 <= timed["cpu_seconds"] <= timed["seconds"] + 0.1


def test_hits_survive_packing():
    rng = np.random.default_rng(0)
    found = {seed: rng.random(943) < 0.3 for seed in (1, 0)}
    runs = [{"config": {"seed": s, "k": 4}, "numbers": {"n": float(s)}, "hits": pack(h)} for s, h in found.items()]
    result = {"name": "some", "users": 943, "runs": runs}
    assert (hits(result, k=4) == np.stack([found[0], found[1]])).all()
    assert values(result, "n", k=4).tolist() == [0.0, 1.0]


def test_what_is_not_stored_is_named():
    with pytest.raises(FileNotFoundError, match=r"no stored results of 'nothing'; there are: movielens_mind,"):
        stored("nothing")
    with pytest.raises(ValueError, match=r"planted_map holds no run with \{'dim': 5\}"):
        select(stored("planted_map"), dim=5)

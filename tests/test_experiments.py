"""Stored experiments still describe the code: each canary, replayed."""

from __future__ import annotations

import importlib
import warnings

import numpy as np
import pytest

from experiments import RESULTS, fingerprint, pack, stored

NAMES = sorted(path.stem for path in RESULTS.glob("*.json"))
SCRIPTS = sorted(path.stem for path in RESULTS.parent.glob("*.py") if 'if __name__ == "__main__"' in path.read_text())
#: Losses of five steps: on this machine repeated runs agree to the last digit, other thread counts to 1e-5.
TOLERANCE = 1e-3


def test_every_experiment_is_stored():
    assert NAMES == SCRIPTS


@pytest.mark.parametrize("name", NAMES)
def test_canary(name):
    result = stored(name)
    canary = result["canary"]
    replayed = importlib.import_module(f"experiments.{name}").canary(canary["config"])
    np.testing.assert_allclose(
        replayed, canary["numbers"], rtol=TOLERANCE,
        err_msg=f"the stored results of {name} no longer describe the code; run: {result['command']}",
    )  # fmt: skip
    if result["fingerprint"] != fingerprint():
        warnings.warn(f"{name}: mi_lite changed since these results were stored; its canary agrees", stacklevel=1)


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


def test_hits_survive_packing():
    hits = np.random.default_rng(0).random(943) < 0.3
    unpacked = np.unpackbits(np.frombuffer(bytes.fromhex(pack(hits)), np.uint8))[:943].astype(bool)
    assert (unpacked == hits).all()

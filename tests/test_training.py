"""The trainer: it learns, repeats, stops, saves and loads."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from mi_lite.data import leave_one_out, synthetic_world
from mi_lite.losses import RULES
from mi_lite.metrics import evaluate
from mi_lite.mind import MIND
from mi_lite.models import SingleVector
from mi_lite.retrieval import top_n
from mi_lite.training import TrainConfig, load, save, train


@pytest.fixture(scope="module")
def world():
    return synthetic_world(200, 600, 12, 8, history_length=(12, 16), seed=3)


@pytest.fixture(scope="module")
def splits(world):
    return leave_one_out(world.interactions, max_history=16)


def build(world, kind=MIND, **options):
    return kind.for_data(world.interactions, dim=8, max_history=16, **options)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("loss", ["full", "sampled"])
def test_every_rule_and_loss_learns(world, splits, rule, loss):
    config = TrainConfig(rule=rule, loss=loss, negatives=100, epochs=6, batch_size=128, learning_rate=0.02, patience=6)
    result = train(build(world), splits, config)
    assert result.losses[-1] < result.losses[0] - 0.05, result.losses
    assert len(result.recalls) == 6 and result.examples_seen == 6 * len(splits.train)


def test_training_beats_chance_and_popularity(world, splits):
    config = TrainConfig(rule="logsumexp", epochs=25, batch_size=128, learning_rate=0.02, patience=25)
    result = train(build(world), splits, config)
    recall = evaluate(result.model, splits.test, splits.seen_before(splits.test)).recall[20].mean()
    counts = splits.training_counts()
    popular = np.argsort(-counts)[:20]
    assert recall > 1.5 * np.isin(splits.test.target, popular).mean(), recall
    assert recall > 2 * 20 / 600


def test_the_same_seeds_give_the_same_run(world, splits):
    config = TrainConfig(epochs=2, batch_size=128)
    one, two = (train(build(world), splits, config) for _ in range(2))
    assert one.losses == two.losses and one.recalls == two.recalls
    other = train(build(world), splits, TrainConfig(epochs=2, batch_size=128, seed=1))
    assert other.losses != one.losses


def test_early_stopping_keeps_the_best_epoch(world, splits):
    config = TrainConfig(epochs=40, batch_size=128, learning_rate=0.1, patience=2)
    result = train(build(world, SingleVector), splits, config)
    assert len(result.recalls) == result.best_epoch + 3 or len(result.recalls) == 40
    recall = evaluate(result.model, splits.validation, splits.seen_before(splits.validation), ns=(20,)).recall[20]
    assert recall.mean() == pytest.approx(max(result.recalls))


def test_a_saved_model_gives_the_same_lists_in_another_process(world, splits, tmp_path):
    model = train(build(world, recency=True, adaptive=True), splits, TrainConfig(epochs=1)).model
    path = tmp_path / "model.pt"
    save(model, path)
    assert [p.name for p in tmp_path.iterdir()] == ["model.pt"]
    history, profile = torch.from_numpy(splits.test.history[:20]), torch.from_numpy(splits.test.profile[:20])
    torch.save((history, profile), tmp_path / "users.pt")
    program = (
        "import sys, torch\nfrom mi_lite.training import load\nfrom mi_lite.retrieval import top_n\n"
        "model = load(sys.argv[1]); history, profile = torch.load(sys.argv[2])\n"
        "user = model.interests(history, profile=profile)\n"
        "print(top_n(user.vectors, model.item_vectors(), 10, interest_mask=user.mask).items.tolist())\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, path, tmp_path / "users.pt"], capture_output=True, text=True, check=True
    )
    user = model.interests(history, profile=profile)
    here = top_n(user.vectors, model.item_vectors(), 10, interest_mask=user.mask).items.tolist()
    assert out.stdout.strip() == str(here)
    assert type(load(path)) is MIND and not load(path).training


def test_bad_input_is_named(world, splits, tmp_path):
    with pytest.raises(ValueError, match="rule must be one of"):
        TrainConfig(rule="best")
    with pytest.raises(ValueError, match="learning_rate must be positive"):
        TrainConfig(learning_rate=0)
    with pytest.raises(ValueError, match="epochs must be at least 1"):
        TrainConfig(epochs=0)
    with pytest.raises(ValueError, match="built for 10 items, the data has 600"):
        train(SingleVector(10), splits)
    torch.save({"some": "thing"}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="no model of mi_lite"):
        load(tmp_path / "other.pt")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "missing.pt")


def test_a_diverging_run_stops_with_a_sentence(world, splits):
    model = build(world, SingleVector)
    with torch.no_grad():
        model.items.weight[1:] *= 1e30
    with pytest.raises(ValueError, match="finite"):
        train(model, splits, TrainConfig(epochs=1))

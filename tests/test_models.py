"""What all models share, and the single-vector baseline."""

from __future__ import annotations

import numpy as np
import torch

from mi_lite.data import synthetic_world
from mi_lite.mind import MIND
from mi_lite.models import SingleVector


def test_the_single_vector_is_the_mean_of_the_history():
    model = SingleVector(10, 4, hidden=0).eval()
    history = torch.tensor([[3, 5, 0], [1, 2, 7]])
    with torch.no_grad():
        user = model.interests(history)
        items = model.item_vectors()
    torch.testing.assert_close(user.vectors[0, 0], (items[3] + items[5]) / 2)
    torch.testing.assert_close(user.vectors[1, 0], (items[1] + items[2] + items[7]) / 3)
    assert user.vectors.shape == (2, 1, 4) and user.mask.all()


def test_recency_weighs_by_the_place_counted_back():
    model = SingleVector(10, 4, hidden=0, recency=True, max_history=4).eval()
    with torch.no_grad():
        model.recency.copy_(torch.tensor([0.5, -1.0, 0.0, 0.0]))
        items = model.item_vectors()
        got = model.interests(torch.tensor([[3, 5, 0]])).vectors[0, 0]
        expected = (items[5] * np.exp(0.5) + items[3] * np.exp(-1.0)) / 2
    torch.testing.assert_close(got, expected)


def test_for_data_takes_sizes_features_and_profile_from_the_data():
    world = synthetic_world(50, 400, 10, 8, history_length=(10, 12), seed=0)
    model = SingleVector.for_data(world.interactions, dim=8)
    assert model.num_items == 400 and model.profile_sizes == world.interactions.profile_sizes
    assert model.item_features.shape == world.interactions.categories.shape
    bare = MIND.for_data(world.interactions, dim=8, features=False, profile=False)
    assert bare.item_features is None and bare.profile_sizes == ()


def test_the_same_seed_builds_the_same_model():
    one, two, three = (MIND(10, 4, seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], three[name]) for name in one)


def test_building_a_model_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    MIND(10, 4, seed=1).interests(torch.tensor([[1, 2]]))
    assert torch.equal(torch.rand(1), expected)

"""The synthetic world: what it says is true of it is true of it, and every dial turns what it names."""

from __future__ import annotations

import time
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_lite.data import Interactions, leave_one_out, synthetic_world

SMALL = {"num_users": 150, "num_items": 480, "num_concepts": 8, "dim": 6, "history_length": (20, 40)}


@pytest.fixture(scope="module")
def world():
    return synthetic_world(**SMALL, seed=1)


def arrays(world):
    found = {f.name: getattr(world, f.name) for f in fields(world)}
    table = found.pop("interactions")
    found.pop("settings")
    return found | {name: getattr(table, name) for name in ("user", "item", "time", "categories", "profile")}


def test_the_same_seed_gives_the_same_world_and_another_another(world):
    again, other = arrays(synthetic_world(**SMALL, seed=1)), arrays(synthetic_world(**SMALL, seed=2))
    for name, values in arrays(world).items():
        assert np.array_equal(values, again[name]), name
        assert not np.array_equal(values, other[name]), name


def test_shapes_and_padding(world):
    n, table = len(world.interactions), world.interactions
    assert isinstance(table, Interactions)
    assert world.concepts.shape == (8, 6)
    assert world.item_concept.shape == (481,)
    assert world.item_vectors.shape == (481, 6)
    assert world.item_tags.shape == (481, 24)
    assert world.user_concepts.shape == (150, 8)
    assert world.user_tag_preference.shape == (150, 24)
    assert world.behavior_concept.shape == world.conversion.shape == (n,)
    assert world.item_concept[0] == -1
    assert not world.item_vectors[0].any()
    assert not world.item_tags[0].any()
    assert world.item_popularity[0] == 0
    assert world.settings["seed"] == 1
    assert "8 concepts in 6 dimensions" in repr(world)


def test_concepts_and_items_lie_on_the_sphere(world):
    np.testing.assert_allclose(np.linalg.norm(world.concepts, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(world.item_vectors[1:], axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(world.tag_vectors, axis=1), 1)


def test_each_behavior_was_drawn_from_a_concept_its_user_has(world):
    table = world.interactions
    assert np.array_equal(world.behavior_concept, world.item_concept[table.item])
    assert world.user_concepts[table.user, world.behavior_concept].all()


def test_categories_are_the_concepts(world):
    assert (world.interactions.categories[1:].sum(axis=1) == 1).all()
    assert np.array_equal(world.interactions.categories[1:].argmax(axis=1), world.item_concept[1:])


def test_item_ids_say_nothing_of_concept_or_popularity(world):
    ids = np.arange(1, 481)
    assert abs(np.corrcoef(ids, world.item_concept[1:])[0, 1]) < 0.15
    for concept in range(8):
        mine = ids[world.item_concept[1:] == concept]
        assert len(mine) == 60
    assert abs(np.corrcoef(ids, world.item_popularity[1:])[0, 1]) < 0.15


def test_history_concepts(world):
    examples = leave_one_out(world.interactions).test
    concepts = world.history_concepts(examples)
    assert concepts.shape == examples.history.shape
    assert (concepts[~examples.mask] == -1).all()
    for i in range(len(examples)):
        rows = slice(examples.row[i] - examples.lengths[i], examples.row[i])
        assert concepts[i, examples.mask[i]].tolist() == world.behavior_concept[rows].tolist()


@settings(deadline=None, max_examples=15)
@given(least=st.integers(1, 8), more=st.integers(0, 7), seed=st.integers(0, 99))
def test_users_have_the_number_of_concepts_asked_for(least, more, seed):
    most = min(8, least + more)
    made = synthetic_world(60, 240, 8, 4, (least, most), history_length=12, seed=seed)
    count = made.user_concepts.sum(axis=1)
    assert count.min() >= least
    assert count.max() <= most
    for user, slots in enumerate(made.user_slots):
        assert sorted(slots[slots >= 0]) == np.flatnonzero(made.user_concepts[user]).tolist()
    norms = np.linalg.norm(made.user_taste, axis=2)
    np.testing.assert_allclose(norms, made.user_slots >= 0, atol=1e-12)


def test_users_with_one_concept_and_with_eight_both_exist(world):
    assert set(world.user_concepts.sum(axis=1)) == set(range(1, 9))
    fixed = synthetic_world(**SMALL, concepts_per_user=4)
    assert (fixed.user_concepts.sum(axis=1) == 4).all()


def test_history_lengths_and_times(world):
    lengths = world.interactions.lengths
    assert lengths.min() >= 20
    assert lengths.max() <= 40
    assert len(set(lengths)) > 10
    same_user = np.diff(world.interactions.user) == 0
    assert (np.diff(world.interactions.time)[same_user] > 0).all()


def test_nobody_clicks_an_item_twice_unless_repeats_are_allowed(world):
    def repeated(made):
        pairs = made.interactions.user * 1000 + made.interactions.item
        return len(pairs) - len(np.unique(pairs))

    assert repeated(world) == 0
    assert repeated(synthetic_world(**SMALL, repeats=True)) > 100


def test_a_user_may_exhaust_his_only_concept_but_not_more():
    made = synthetic_world(40, 60, 3, 4, 1, history_length=20, stickiness=1.0)
    for user in range(40):
        assert len(set(made.interactions.item[made.interactions.rows_of(user)])) == 20
    spread = synthetic_world(40, 60, 3, 4, 2, history_length=40, stickiness=1.0)  # must change when one is used up
    for user in range(40):
        counts = np.bincount(spread.behavior_concept[spread.interactions.rows_of(user)], minlength=3)
        assert sorted(counts) == [0, 20, 20]
    with pytest.raises(ValueError, match=r"goes up to 21, but 1 concept\(s\) hold only 20 items"):
        synthetic_world(40, 60, 3, 4, 1, history_length=21)


def stay_rate(made):
    same_user = np.diff(made.interactions.user) == 0
    return (np.diff(made.behavior_concept) == 0)[same_user].mean()


def test_stickiness():
    base = {"num_users": 400, "num_items": 800, "num_concepts": 8, "concepts_per_user": 4, "history_length": 30}
    rates = [stay_rate(synthetic_world(**base, stickiness=s)) for s in (0.0, 0.5, 1.0)]
    assert rates[0] < 0.5
    assert rates[1] == pytest.approx(0.5 + 0.5 * rates[0], abs=0.03)  # stay, or draw as if not sticky
    assert rates[2] == 1.0


def test_drift_makes_the_early_and_the_late_history_differ():
    base = {"num_users": 300, "num_items": 1200, "num_concepts": 6, "concepts_per_user": 4, "history_length": 60}

    def change(made):
        concept = made.behavior_concept.reshape(300, 60)
        share = [(part[..., None] == np.arange(6)).mean(axis=1) for part in (concept[:, :20], concept[:, 40:])]
        return np.abs(share[0] - share[1]).sum(axis=1).mean() / 2

    still, moving = (change(synthetic_world(**base, stickiness=0.0, drift=d)) for d in (0.0, 0.5))
    assert moving > still + 0.2


def test_noise_spreads_items_around_their_concept():
    def agreement(noise):
        made = synthetic_world(**SMALL, noise=noise)
        return (made.item_vectors[1:] * made.concepts[made.item_concept[1:]]).sum(axis=1)

    np.testing.assert_allclose(agreement(0.0), 1)
    near, far = agreement(0.3).mean(), agreement(1.5).mean()
    assert 1 > near > 0.9 > 0.75 > far


def test_popularity_follows_zipf_within_a_concept(world):
    for concept in range(8):
        share = np.sort(world.item_popularity[world.item_concept == concept])[::-1]
        np.testing.assert_allclose(share.sum(), 1)
        np.testing.assert_allclose(share / share[0], 1 / np.arange(1, 61), rtol=1e-12)
    flat = synthetic_world(**SMALL, zipf=0.0)
    np.testing.assert_allclose(flat.item_popularity[1:], 1 / 60)


def test_most_popular_is_a_real_baseline():
    made = synthetic_world(num_users=600, num_items=600, num_concepts=6, concepts_per_user=3, history_length=20, seed=4)
    splits = leave_one_out(made.interactions)
    score = np.tile(splits.training_counts().astype(float), (len(splits.test), 1))
    np.put_along_axis(score, splits.seen(splits.test.user, "test"), -1, axis=1)
    top = np.argsort(-score, axis=1)[:, :20]
    recall = (top == splits.test.target[:, None]).any(axis=1).mean()
    assert recall > 2 * 20 / 600


def test_taste_is_there_to_be_learned():
    def gain(taste):
        made = synthetic_world(400, 400, 4, 8, concepts_per_user=2, history_length=10, taste=taste, tag_strength=0.0)
        table = made.interactions
        slot = (made.user_slots[table.user] == made.behavior_concept[:, None]).argmax(axis=1)
        lean = made.user_taste[table.user, slot]
        step = made.item_vectors - made.concepts[made.item_concept] * (made.item_concept >= 0)[:, None]
        chosen = (lean * step[table.item]).sum(axis=1).mean()
        return chosen / step[1:].std()

    assert abs(gain(0.0)) < 0.1
    assert gain(1.0) > 0.5


def test_tags_are_several_and_other_than_concepts(world):
    count = world.item_tags[1:].sum(axis=1)
    assert set(count) == {2, 3, 4}
    by_concept = np.stack([world.item_tags[world.item_concept == c].mean(axis=0) for c in range(8)])
    used = by_concept > 0.05
    assert (used.sum(axis=1) > 4).all()  # a concept's items carry many tags: tags are finer
    assert (used.sum(axis=0) >= 2).any()  # and a tag may join several concepts: tags are other


def test_tag_liking_shows_in_the_clicks():
    def lean(strength):
        """How much better liked the tags of clicked items are than those drawn from the concept by popularity."""
        made = synthetic_world(num_users=400, num_items=800, num_concepts=8, history_length=20, tag_strength=strength)
        table = made.interactions
        share = made.item_tags / np.maximum(made.item_tags.sum(axis=1, keepdims=True), 1)
        liked = logit(made.user_tag_preference) @ share.T
        weight = made.item_popularity[:, None] * (made.item_concept[:, None] == np.arange(8))
        by_popularity = (liked @ weight)[table.user, made.behavior_concept]
        return (liked[table.user, table.item] - by_popularity).mean()

    none, usual, strong = lean(0.0), lean(0.5), lean(2.0)
    assert abs(none) < 0.05
    assert usual > none + 0.04
    assert strong > usual + 0.1


def logit(p):
    return np.log(p / (1 - p))


@pytest.mark.parametrize("conflict", [0.0, 0.25, 0.5, 1.0])
def test_task_conflict_is_the_correlation_of_the_two_preferences(conflict):
    made = synthetic_world(**SMALL, task_conflict=conflict)
    click, conversion = logit(made.user_tag_preference), logit(made.user_tag_conversion)
    for mine, other in zip(click, conversion, strict=True):
        assert np.corrcoef(mine, other)[0, 1] == pytest.approx(1 - 2 * conflict, abs=1e-9)
    if conflict == 0:
        np.testing.assert_allclose(click, conversion)
    if conflict == 1:
        np.testing.assert_allclose(click, -conversion, atol=1e-9)


def test_task_conflict_changes_conversions_and_not_clicks():
    same, opposite = (synthetic_world(**SMALL, task_conflict=c) for c in (0.0, 1.0))
    assert np.array_equal(same.interactions.item, opposite.interactions.item)
    assert np.array_equal(same.user_tag_preference, opposite.user_tag_preference)
    share = same.item_tags / np.maximum(same.item_tags.sum(axis=1, keepdims=True), 1)
    table = same.interactions
    liked = (logit(same.user_tag_preference)[table.user] * share[table.item]).sum(axis=1)
    assert liked[same.conversion].mean() > liked[~same.conversion].mean() + 0.2
    assert liked[opposite.conversion].mean() < liked[~opposite.conversion].mean() - 0.2


def test_conversions_are_drawn_with_their_probability():
    made = synthetic_world(num_users=500, num_items=800, num_concepts=8, history_length=40, seed=5)
    order = np.argsort(made.conversion_probability)
    for tenth in np.array_split(order, 10):
        p = made.conversion_probability[tenth].mean()
        assert made.conversion[tenth].mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / len(tenth)))


def test_the_profile_tells_a_little_of_the_concepts_and_the_device_nothing(world):
    table = synthetic_world(num_users=3000, num_items=480, num_concepts=8, dim=6, history_length=7)
    concepts, profile = table.user_concepts.astype(float), table.interactions.profile

    def spread(codes, size):
        means = np.stack([concepts[codes == code].mean(axis=0) for code in range(size) if (codes == code).any()])
        return means.std(axis=0).mean()

    assert spread(profile[:, 0], 8) > 3 * spread(profile[:, 1], 3)
    assert world.interactions.profile_names == ("segment", "device")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"num_users": 0}, ValueError, "num_users is 0; expected at least 1"),
        ({"num_users": 2.5}, TypeError, "num_users is 2.5; expected a whole number"),
        ({"num_items": 4}, ValueError, "num_items is 4; expected at least 8"),
        ({"dim": 1}, ValueError, "dim is 1; expected at least 2"),
        ({"concepts_per_user": (3, 2)}, ValueError, "least <= most"),
        ({"concepts_per_user": (1, 9)}, ValueError, "concepts_per_user is 9; expected 1 to 8"),
        ({"concepts_per_user": "many"}, TypeError, r"expected a whole number or a pair"),
        ({"noise": -1}, ValueError, "noise is -1; expected at least 0"),
        ({"noise": float("nan")}, ValueError, "noise is nan"),
        ({"stickiness": 1.5}, ValueError, "stickiness is 1.5; expected 0 to 1"),
        ({"task_conflict": -0.1}, ValueError, "task_conflict is -0.1; expected 0 to 1"),
        ({"conversion_rate": 0}, ValueError, "conversion_rate is 0; expected 0.001 to 0.999"),
        ({"tags_per_item": (1, 99)}, ValueError, "tags_per_item is 99; expected 1 to 24"),
        ({"seed": None}, TypeError, "seed is None; expected a whole number"),
        ({"history_length": 61}, ValueError, "raise|expected more items"),
    ],
)
def test_bad_dials_are_refused_with_one_clear_sentence(arguments, error, message):
    with pytest.raises(error, match=message):
        synthetic_world(**(SMALL | arguments))


def test_two_thousand_users_take_no_loop_over_events():
    began = time.process_time()
    made = synthetic_world(num_users=2000, num_items=2000, history_length=40)
    assert time.process_time() - began < 3.0  # 0.4 s measured; this only catches a loop over 80,000 events
    assert len(made.interactions) == 80000

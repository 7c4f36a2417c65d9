"""Exact retrieval by several vectors a user, against a NumPy loop that reads like the definition."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_lite.retrieval import best_of, rows_at_once, top_n, top_n_per_interest


def brute_force(interests, item_vectors, n, interest_mask, exclude):
    """One user, one item, one interest at a time."""
    all_items, all_scores, all_interests = [], [], []
    for b in range(len(interests)):
        found = []
        for i in range(1, len(item_vectors)):
            if i in exclude[b]:
                continue
            best, who = None, None
            for k in range(interests.shape[1]):
                if interest_mask[b, k]:
                    score = float(interests[b, k] @ item_vectors[i])
                    if best is None or score > best:
                        best, who = score, k
            found.append((-best, i, who))
        found = sorted(found)[:n]
        all_scores.append([-f[0] for f in found])
        all_items.append([f[1] for f in found])
        all_interests.append([f[2] for f in found])
    return np.array(all_items), np.array(all_scores), np.array(all_interests)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(1, 6), st.booleans())
def test_agrees_with_brute_force_also_where_many_scores_are_equal(seed, num_interests, batch_size, coarse):
    rng = np.random.default_rng(seed)
    users, num_items, dim, n = 5, 12, 3, 4
    # Small whole numbers: products are exact, and equal scores are common.
    high = 2 if coarse else 50
    interests = rng.integers(-high, high + 1, (users, num_interests, dim)).astype(np.float64)
    item_vectors = rng.integers(-high, high + 1, (num_items + 1, dim)).astype(np.float64)
    mask = rng.random((users, num_interests)) < 0.6
    mask[np.arange(users), rng.integers(0, num_interests, users)] = True
    exclude = rng.integers(0, num_items + 1, (users, 6))
    got = top_n(
        torch.from_numpy(interests),
        torch.from_numpy(item_vectors),
        n,
        interest_mask=torch.from_numpy(mask),
        exclude=torch.from_numpy(exclude),
        batch_size=batch_size,
    )
    items, scores, who = brute_force(interests, item_vectors, n, mask, exclude)
    np.testing.assert_array_equal(got.items, items)
    np.testing.assert_array_equal(got.scores, scores)
    np.testing.assert_array_equal(got.interest, who)


def test_a_masked_zero_interest_does_not_win_over_negative_scores():
    interests = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
    items = torch.tensor([[9.0, 9.0], [-1.0, 0.0], [-3.0, 0.0], [-2.0, 0.0]])
    got = top_n(interests, items, 3, interest_mask=torch.tensor([[True, False]]))
    assert got.items.tolist() == [[1, 3, 2]]
    assert got.scores.tolist() == [[-1.0, -2.0, -3.0]]
    assert got.interest.tolist() == [[0, 0, 0]]
    unmasked = top_n(interests, items, 3)
    assert unmasked.scores.tolist() == [[0.0, 0.0, 0.0]]
    assert unmasked.interest.tolist() == [[1, 1, 1]]


def test_equal_scores_are_ordered_by_the_lower_id_also_across_the_cut():
    item_vectors = torch.ones(1001, 2)
    item_vectors[700] = 2
    got = top_n(torch.ones(3, 2, 2), item_vectors, 5, exclude=torch.tensor([[0], [2], [700]]))
    assert got.items.tolist() == [[700, 1, 2, 3, 4], [700, 1, 3, 4, 5], [1, 2, 3, 4, 5]]
    assert (got.interest == 0).all()


def test_padding_is_never_returned_though_it_scores_highest():
    item_vectors = torch.tensor([[100.0], [1.0], [2.0]])
    assert top_n(torch.ones(1, 1, 1), item_vectors, 2).items.tolist() == [[2, 1]]
    assert top_n_per_interest(torch.ones(1, 1, 1), item_vectors, 2).items.tolist() == [[[2, 1]]]


def test_a_large_catalogue_is_scored_for_fewer_users_at_a_time():
    assert rows_at_once(1024, 1683) == 1024
    assert rows_at_once(1024, 100_001) * 100_001 <= 2**23 < (rows_at_once(1024, 100_001) + 1) * 100_001
    assert rows_at_once(1024, 2**30) == 1


def test_batches_change_nothing():
    g = torch.Generator().manual_seed(0)
    interests, item_vectors = torch.randn(37, 3, 8, generator=g), torch.randn(60, 8, generator=g)
    exclude = torch.randint(0, 60, (37, 5), generator=g)
    one = top_n(interests, item_vectors, 7, exclude=exclude)
    many = top_n(interests, item_vectors, 7, exclude=exclude, batch_size=10)
    torch.testing.assert_close(one.scores, many.scores)
    assert torch.equal(one.items, many.items)
    assert torch.equal(one.interest, many.interest)


def test_no_gradient_and_arguments_are_left_alone():
    interests, item_vectors = torch.randn(4, 2, 3, requires_grad=True), torch.randn(9, 3)
    before = item_vectors.clone()
    got = top_n(interests, item_vectors, 2, exclude=torch.ones(4, 1, dtype=torch.int64))
    assert not got.scores.requires_grad
    assert torch.equal(before, item_vectors)
    scores = torch.arange(4.0)[None]
    best_of(scores, 2, torch.tensor([[3]]))
    assert scores.tolist() == [[0.0, 1.0, 2.0, 3.0]]


def test_each_interest_has_its_own_list_and_the_best_of_all_lists_is_top_n():
    g = torch.Generator().manual_seed(1)
    interests, item_vectors = torch.randn(6, 3, 4, generator=g), torch.randn(30, 4, generator=g)
    mask = torch.tensor([[True, True, False]] * 6)
    exclude = torch.randint(0, 30, (6, 4), generator=g)
    lists = top_n_per_interest(interests, item_vectors, 5, interest_mask=mask, exclude=exclude, batch_size=4)
    assert lists.items.shape == lists.scores.shape == (6, 3, 5)
    assert (lists.items[:, 2] == 0).all()
    assert (lists.scores[:, 2] == -torch.inf).all()
    for k in range(2):
        alone = top_n(interests[:, k : k + 1], item_vectors, 5, exclude=exclude)
        assert torch.equal(alone.items, lists.items[:, k])
    together = top_n(interests, item_vectors, 5, interest_mask=mask, exclude=exclude)
    for b in range(6):
        best = {}
        for item, score in zip(lists.items[b].flatten().tolist(), lists.scores[b].flatten().tolist(), strict=True):
            best[item] = max(score, best.get(item, -np.inf))
        merged = sorted((i for i in best if i), key=lambda i: (-best[i], i))[:5]
        assert merged == together.items[b].tolist()


@pytest.mark.parametrize("function", [top_n, top_n_per_interest])
def test_too_few_items_left_names_the_user(function):
    exclude = torch.tensor([[0, 0, 0], [1, 2, 2]])
    with pytest.raises(ValueError, match="n is 2, but only 1 items remain for user 1"):
        function(torch.ones(2, 1, 2), torch.ones(4, 2), 2, exclude=exclude, batch_size=1)
    with pytest.raises(ValueError, match="n is 9, but only 3 items remain for user 0"):
        function(torch.ones(2, 1, 2), torch.ones(4, 2), 9)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"interests": torch.ones(2, 3)}, ValueError, "interests must have shape"),
        ({"interests": np.ones((2, 1, 3))}, TypeError, "interests must be a torch tensor"),
        ({"item_vectors": torch.ones(5, 4)}, ValueError, "item_vectors must have shape"),
        ({"item_vectors": torch.ones(5, 3, dtype=torch.float64)}, TypeError, "expected the same"),
        ({"interests": torch.full((2, 1, 3), torch.nan)}, ValueError, "interests must hold finite"),
        ({"n": 0}, ValueError, "n must be at least 1"),
        ({"n": 2.0}, TypeError, "n must be an integer"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"interest_mask": torch.ones(2, 2, dtype=torch.bool)}, ValueError, "interest_mask must have shape"),
        ({"interest_mask": torch.ones(2, 1)}, TypeError, "interest_mask must hold True and False"),
        ({"interest_mask": torch.tensor([[True], [False]])}, ValueError, "interest_mask: row 1 has no True"),
        ({"exclude": torch.tensor([[5], [0]])}, ValueError, "exclude holds id 5"),
        ({"exclude": torch.tensor([[-1], [0]])}, ValueError, "exclude holds id -1"),
        ({"exclude": torch.tensor([[1]])}, ValueError, "exclude must have shape"),
        ({"exclude": torch.ones(2, 1)}, TypeError, "exclude must hold whole numbers"),
        ({"interests": torch.full((2, 1, 3), 1e38)}, ValueError, "overflowed"),
    ],
)
def test_bad_input_gives_one_clear_error(change, error, words):
    good = {"interests": torch.ones(2, 1, 3), "item_vectors": torch.full((5, 3), 9.0), "n": 2}
    with pytest.raises(error, match=words):
        top_n(**(good | change))


def test_an_empty_exclude_excludes_nothing():
    none = torch.zeros(2, 0, dtype=torch.int64)
    assert top_n(torch.ones(2, 1, 1), torch.ones(3, 1), 2, exclude=none).items.tolist() == [[1, 2], [1, 2]]

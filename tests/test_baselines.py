"""Rankings without a model, on a table small enough to count by hand."""

import numpy as np
import pytest
import torch

from mi_lite.baselines import ItemToItem, MostPopular, RandomRanking
from mi_lite.data import Interactions, leave_one_out

# Three users; the last two items of each are held out (validation, test).
ROWS = {0: [1, 2, 3, 8, 7], 1: [1, 2, 4, 5, 7], 2: [2, 1, 5, 7, 8]}
NONE = np.zeros((1, 1), dtype=np.int64)


@pytest.fixture(scope="module")
def splits():
    user = np.repeat(list(ROWS), 5)
    item = np.concatenate(list(ROWS.values()))
    table = Interactions(user=user, item=item, time=np.tile(np.arange(5), 3), num_users=3, num_items=8)
    return leave_one_out(table, max_history=4, min_history=2)


def test_most_popular_counts_training_rows_only(splits):
    # 1: 3, 2: 3, then 3, 4, 5 once each; 7 and 8 are only held out: no count, so they come last.
    ranking = MostPopular(splits).rank(np.ones((2, 3), np.int64), np.array([[0, 0], [1, 4]]), 4)
    np.testing.assert_array_equal(ranking, [[1, 2, 3, 4], [2, 3, 5, 6]])
    assert MostPopular(splits).rank(NONE + 1, None, 8).tolist() == [[1, 2, 3, 4, 5, 6, 7, 8]]


def test_item_to_item_by_hand(splits):
    baseline = ItemToItem(splits, last=1, window=None)
    # c(3) = 1, c(1) = c(2) = 3: 3 was met with 1 and 2 by user 0: 1 / sqrt(3) each; 4 with 1 and 2, too.
    dense = baseline.similarity.toarray()
    assert dense[3, 1] == dense[3, 2] == pytest.approx(1 / np.sqrt(3))
    assert dense[1, 2] == 1
    assert dense[3, 4] == dense[3, 3] == dense[0, 1] == 0
    np.testing.assert_allclose(dense, dense.T)
    # The last real behaviour is 4, not the padding and not 3; then by popularity: 3 and 5 once, 6.. never.
    assert baseline.rank(np.array([[3, 4, 0, 0]]), np.array([[3, 4]]), 4).tolist() == [[1, 2, 5, 6]]


def test_item_to_item_adds_up_the_last_items(splits):
    one, two = ItemToItem(splits, last=1, window=None), ItemToItem(splits, last=2, window=None)
    history = np.array([[1, 3, 5]])
    scores = two.similarity.toarray()[[3, 5]].sum(axis=0)
    expected = sorted(range(1, 9), key=lambda i: (-scores[i], -two.counts[i], i))
    assert two.rank(history, None, 8).tolist() == [expected]
    np.testing.assert_array_equal(one.rank(history, None, 8), one.rank(history[:, 2:], None, 8))


def test_window_counts_near_pairs_only(splits):
    near = ItemToItem(splits, window=1).similarity.toarray()
    assert near[1, 2] == pytest.approx(3 / 3)
    assert near[1, 3] == 0  # user 0 met 2 in between
    assert near[1, 5] == pytest.approx(1 / np.sqrt(3))  # user 2
    assert near[2, 5] == 0
    np.testing.assert_allclose(near, near.T)


def test_a_window_as_long_as_the_history_changes_nothing_where_nothing_repeats(splits):
    np.testing.assert_allclose(
        ItemToItem(splits, window=9).similarity.toarray(), ItemToItem(splits, window=None).similarity.toarray()
    )


def test_random_ranking_repeats_with_its_seed_and_is_uniform():
    history = np.ones((4000, 1), dtype=np.int64)
    exclude = np.full((4000, 1), 3)
    one = RandomRanking(6, seed=1).rank(history, exclude, 2)
    np.testing.assert_array_equal(one, RandomRanking(6, seed=1).rank(history, exclude, 2))
    assert (one != RandomRanking(6, seed=2).rank(history, exclude, 2)).any()
    np.testing.assert_array_equal(one[:50], RandomRanking(6, seed=1).rank(history[:50], exclude[:50], 2))
    counts = np.bincount(one[:, 0], minlength=7)
    assert counts[0] == counts[3] == 0
    assert abs(counts[[1, 2, 4, 5, 6]] - 800).max() < 5 * np.sqrt(800 * 0.8)


def test_bad_input_gives_one_clear_error(splits):
    baseline = ItemToItem(splits)
    good = np.array([[1, 2]])
    for history, exclude, n, error, words in [
        (good * 1.0, None, 1, TypeError, "history must hold integer"),
        (good[0], None, 1, ValueError, "history must have shape"),
        (good * 9, None, 1, ValueError, "history holds ids 9 to 18; expected 0 to 8"),
        (good, torch.tensor([[1], [2]]), 1, ValueError, "exclude must have 1 rows, got 2"),
        (good, good, 0, ValueError, "n must be at least 1"),
        (good, good, 7, ValueError, "only 6 items remain for user 0"),
    ]:
        with pytest.raises(error, match=words):
            baseline.rank(history, exclude, n)
    with pytest.raises(ValueError, match="last must be at least 1"):
        ItemToItem(splits, last=0)
    with pytest.raises(ValueError, match="window must be at least 1"):
        ItemToItem(splits, window=0)

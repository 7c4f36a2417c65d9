"""The canonical table, its examples and the split: no leak from the future, ties in the stated order, nobody lost."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mi_lite.data import Examples, Interactions, leave_one_out, movielens_100k, synthetic_world

ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5), st.integers(0, 6)), min_size=1, max_size=60)


def table(rows, num_users=4, num_items=5, **fields):
    user, item, moment = np.array(rows).T
    return Interactions.from_rows(user, item, moment, num_users=num_users, num_items=num_items, **fields)


def chain(length, users=1):
    """Users who each take items 1, 2, 3, ... in turn."""
    return table([(u, i + 1, i) for u in range(users) for i in range(length)], num_users=users, num_items=length)


@pytest.fixture(scope="module", params=["synthetic", "movielens"])
def data(request):
    if request.param == "movielens":
        return movielens_100k()
    return synthetic_world(
        num_users=120, num_items=400, num_concepts=5, concepts_per_user=(1, 5), history_length=(5, 60), seed=3
    ).interactions


# --- the table


@given(rows=ROWS)
def test_from_rows_sorts_by_user_then_time_and_keeps_the_given_order_of_ties(rows):
    made = table(rows, rating=np.arange(len(rows)))
    order = sorted(range(len(rows)), key=lambda i: (rows[i][0], rows[i][2]))  # Python's sort is stable
    assert made.rating.tolist() == order
    assert list(zip(made.user.tolist(), made.item.tolist(), made.time.tolist(), strict=True)) == [
        rows[i] for i in order
    ]


@given(rows=ROWS)
def test_offsets_delimit_each_user(rows):
    made = table(rows)
    for user in range(4):
        assert (made.user[made.rows_of(user)] == user).all()
        assert made.lengths[user] == sum(row[0] == user for row in rows)


def test_defaults_and_repr():
    made = table([(0, 2, 5), (1, 1, 5)], num_users=2, num_items=2)
    assert made.user_labels == (0, 1)
    assert made.item_labels == (None, 1, 2)
    assert repr(made) == "Interactions(2 users, 2 items, 2 interactions)"
    assert len(made) == 2


GOOD = {"user": [0, 0, 1], "item": [1, 2, 1], "time": [1, 2, 0], "num_users": 2, "num_items": 2}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"user": [], "item": [], "time": []}, ValueError, "no interactions"),
        ({"item": [1, 2]}, ValueError, "item has 2 entries; expected 3"),
        ({"item": [1.0, 2.0, 1.0]}, TypeError, "item has dtype float64"),
        ({"user": [[0, 0, 1]]}, ValueError, "user has 2 axes"),
        ({"item": [1, 0, 1]}, ValueError, r"item contains 0; expected item ids \(0 is padding\), 1 to 2"),
        ({"item": [1, 3, 1]}, ValueError, "item contains 3"),
        ({"user": [0, 0, 2]}, ValueError, "user contains 2; expected user numbers, 0 to 1"),
        ({"user": [0, 1, 0]}, ValueError, "not grouped by user"),
        ({"time": [2, 1, 0]}, ValueError, "not ordered by time"),
        ({"rating": [1.0, 2.0]}, ValueError, r"rating has shape \(2,\)"),
        ({"user_labels": ("a",)}, ValueError, "user_labels has 1 entries; expected 2"),
        ({"item_labels": ("a", "b")}, ValueError, "item_labels has 2 entries; expected 3"),
        ({"item_labels": ("p", "a", "b")}, ValueError, "expected None, item 0 is padding"),
        ({"titles": ("a", "b")}, ValueError, "titles has 2 entries; expected 3"),
        ({"category_names": ("x",)}, ValueError, "category_names has 1 entries; expected 0"),
        ({"categories": np.zeros((3, 1)), "category_names": ("x",)}, TypeError, "expected bool"),
        ({"categories": np.zeros((2, 1), bool), "category_names": ("x",)}, ValueError, r"expected \(3, 1\)"),
        ({"categories": np.ones((3, 1), bool), "category_names": ("x",)}, ValueError, r"categories\[0\]"),
        ({"profile_names": ("age",)}, ValueError, "profile_sizes has 0 entries; expected 1"),
        (
            {"profile": [[0], [2]], "profile_names": ("a",), "profile_sizes": (2,), "profile_values": (("x", "y"),)},
            ValueError,
            "profile field 'a' contains 2; expected codes, 0 to 1",
        ),
        (
            {"profile": [[0]], "profile_names": ("a",), "profile_sizes": (1,), "profile_values": (("x",),)},
            ValueError,
            r"profile has shape \(1, 1\); expected \(2, 1\)",
        ),
    ],
)
def test_a_bad_table_is_refused_with_one_clear_sentence(change, error, message):
    Interactions(**GOOD)
    with pytest.raises(error, match=message):
        Interactions(**(GOOD | change))


# --- examples


def test_examples_subset_keeps_rows_together():
    examples = leave_one_out(chain(9, users=2), min_history=1).train
    for picked in (examples[[3, 0]], examples.subset(np.array([3, 0]))):
        assert picked.target.tolist() == [examples.target[3], examples.target[0]]
        assert picked.row.tolist() == [examples.row[3], examples.row[0]]
        assert np.array_equal(picked.history, examples.history[[3, 0]])
    assert len(examples[2:4]) == 2
    assert len(examples[5]) == 1
    assert len(examples[examples.user == 1]) == (examples.user == 1).sum()
    assert len(examples[[]]) == 0
    assert repr(examples) == "Examples(12 examples, histories of up to 50)"
    with pytest.raises(TypeError, match="indices have dtype float64"):
        examples[[0.5]]


@pytest.mark.parametrize(
    ("history", "target", "error", "message"),
    [
        ([[0, 0]], [1], ValueError, "no real behavior"),
        ([[0, 3]], [1], ValueError, "no real behavior"),
        ([[2, 0, 3]], [1], ValueError, "padding before a real behavior"),
        ([[2, 0]], [0], ValueError, "targets >= 1"),
        ([[2, -1]], [1], ValueError, "history ids >= 0"),
        ([[2.5, 0]], [1], TypeError, "history has dtype float64"),
        ([2, 3], [1], ValueError, "history has 1 axes"),
        ([[2], [3]], [1], ValueError, "history has 2 entries; expected 1"),
    ],
)
def test_bad_examples_are_refused(history, target, error, message):
    with pytest.raises(error, match=message):
        Examples(user=[0], history=history, target=target)


# --- the split


def test_leave_one_out_on_a_case_by_hand():
    splits = leave_one_out(chain(8), max_history=3, min_history=5)
    assert splits.train.target.tolist() == [6]
    assert splits.train.history.tolist() == [[3, 4, 5]]
    assert splits.validation.target.tolist() == [7]
    assert splits.validation.history.tolist() == [[4, 5, 6]]
    assert splits.test.target.tolist() == [8]
    assert splits.test.history.tolist() == [[5, 6, 7]]
    assert leave_one_out(chain(8)).train.history[0, :7].tolist() == [1, 2, 3, 4, 5, 0, 0]
    assert splits.seen([0], "validation").tolist() == [[1, 2, 3, 4, 5, 6]]
    assert splits.seen([0], "test").tolist() == [[1, 2, 3, 4, 5, 6, 7]]
    assert splits.training_counts().tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 0]


def expected_examples(rows, max_history, min_history):
    """The protocol once more, as slowly as it reads."""
    parts = {"train": [], "validation": [], "test": []}
    for user in range(4):
        items = [item for _, item, _ in sorted((r for r in rows if r[0] == user), key=lambda r: r[2])]
        if len(items) < min_history + 2:
            continue
        for p in range(min_history, len(items)):
            part = {len(items) - 1: "test", len(items) - 2: "validation"}.get(p, "train")
            parts[part].append((user, items[max(0, p - max_history) : p], items[p]))
    return parts


@settings(deadline=None)
@given(rows=ROWS, max_history=st.integers(1, 8), min_history=st.integers(1, 6))
def test_leave_one_out_equals_its_definition(rows, max_history, min_history):
    made = table(rows)
    if made.lengths.max() < min_history + 2:
        with pytest.raises(ValueError, match="no user has"):
            leave_one_out(made, max_history, min_history)
        return
    splits = leave_one_out(made, max_history, min_history)
    for part, expected in expected_examples(rows, max_history, min_history).items():
        examples = splits.part(part)
        assert examples.history.shape == (len(expected), max_history)
        found = [
            (int(u), h[m].tolist(), int(t))
            for u, h, m, t in zip(examples.user, examples.history, examples.mask, examples.target, strict=True)
        ]
        assert found == expected
    users = set(range(4))
    assert set(splits.dropped_users.tolist()) == users - set(splits.test.user.tolist())
    assert np.array_equal(splits.test.user, splits.validation.user)


def test_no_history_holds_its_target_row_or_anything_later(data):
    splits = leave_one_out(data, max_history=20)
    checked = 0
    for part in ("train", "validation", "test"):
        examples = splits.part(part)
        start = examples.row - examples.lengths  # histories are the rows just before the target
        at = start[:, None] + np.arange(20)
        real = examples.mask
        assert np.array_equal(examples.history[real], data.item[at[real]])
        assert (at[real] < np.broadcast_to(examples.row[:, None], at.shape)[real]).all()
        assert (data.user[at[real]] == np.broadcast_to(examples.user[:, None], at.shape)[real]).all()
        assert (data.time[at[real]] <= np.broadcast_to(data.time[examples.row][:, None], at.shape)[real]).all()
        assert np.array_equal(examples.target, data.item[examples.row])
        checked += len(examples)
    assert checked > 1000


def test_training_looks_at_nothing_from_a_users_validation_target_on(data):
    splits = leave_one_out(data)
    last_train = np.full(data.num_users, -1)
    np.maximum.at(last_train, splits.train.user, splits.train.row)
    assert (last_train[splits.validation.user] < splits.validation.row).all()
    assert np.array_equal(splits.validation.row + 1, splits.test.row)
    assert np.array_equal(splits.test.row, data.offsets[splits.test.user + 1] - 1)
    rows = splits.training_rows
    assert not rows[splits.validation.row].any()
    assert not rows[splits.test.row].any()
    assert (
        splits.training_counts().sum()
        == rows.sum()
        == len(data) - 2 * len(splits.test) - (data.lengths[splits.dropped_users].sum())
    )


def test_seen_is_everything_before_the_target_and_never_the_future(data):
    splits = leave_one_out(data)
    for part, back in (("validation", 2), ("test", 1)):
        users = splits.part(part).user[::7]
        seen = splits.seen(users, part)
        assert np.array_equal(seen, splits.seen_before(splits.part(part)[::7]))
        for user, items in zip(users, seen, strict=True):
            rows = data.rows_of(int(user))
            assert items[items > 0].tolist() == data.item[rows.start : rows.stop - back].tolist()


def test_each_user_is_in_the_test_or_counted_as_dropped():
    lengths = [1, 6, 7, 8, 30]
    rows = [(u, i % 5 + 1, i) for u, n in enumerate(lengths) for i in range(n)]
    splits = leave_one_out(table(rows, num_users=6))  # user 5 has no rows at all
    assert splits.dropped_users.tolist() == [0, 1, 5]
    assert splits.test.user.tolist() == [2, 3, 4]
    assert np.bincount(splits.train.user, minlength=6).tolist() == [0, 0, 0, 1, 23, 0]
    assert "dropped users 3" in repr(splits)
    with pytest.raises(ValueError, match="user 1 has no test target; it is one of the dropped users"):
        splits.seen([2, 1], "test")


def test_profiles_travel_with_their_users(data):
    test = leave_one_out(data).test
    assert np.array_equal(test.profile, data.profile[test.user])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_history": 0}, ValueError, "max_history is 0; expected at least 1"),
        ({"min_history": 0}, ValueError, "min_history is 0"),
        ({"max_history": 2.5}, TypeError, "max_history is 2.5; expected a whole number"),
        ({"min_history": 7}, ValueError, r"no user has 9 interactions \(the most is 8\)"),
    ],
)
def test_bad_settings_of_the_split(arguments, error, message):
    with pytest.raises(error, match=message):
        leave_one_out(chain(8), **arguments)


def test_bad_questions_to_a_split():
    splits = leave_one_out(chain(8))
    with pytest.raises(ValueError, match=r"part is 'dev'; expected"):
        splits.part("dev")
    with pytest.raises(ValueError, match="for training: seen_before"):
        splits.seen([0], "train")
    with pytest.raises(ValueError, match="users contains 1"):
        splits.seen([1], "test")
    with pytest.raises(ValueError, match=r"row is None"):
        splits.seen_before(Examples(user=[0], history=[[1]], target=[2]))


def test_the_split_of_movielens_takes_no_loop_over_examples():
    data = movielens_100k()
    began = time.process_time()
    splits = leave_one_out(data)
    assert time.process_time() - began < 1.0  # 0.05 s measured; a loop over 95,000 examples takes longer
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (93399, 943, 943)
    assert splits.dropped_users.size == 0

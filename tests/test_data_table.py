"""Reading any table: what comes out of good files, and what is said about bad ones."""

from __future__ import annotations

import datetime
import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from mi_lite.data import leave_one_out, read_table

CSV = """\
user,item,time,category
anna,tea,30,drinks
ben,bread,10,food|bakery
anna,bread,20,bakery
anna,milk,30,drinks|food
anna,tea,5,drinks
"""


@pytest.fixture
def write(tmp_path):
    def to(text, name="log.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return to


def rows(table):
    return [
        (table.user_labels[u], table.item_labels[i], int(t))
        for u, i, t in zip(table.user, table.item, table.time, strict=True)
    ]


def test_a_csv_file(write):
    table = read_table(write(CSV), category="category")
    assert table.user_labels == ("anna", "ben")
    assert table.item_labels == (None, "tea", "bread", "milk")
    assert rows(table) == [
        ("anna", "tea", 5),
        ("anna", "bread", 20),
        ("anna", "tea", 30),  # the tie at 30 keeps the file's order
        ("anna", "milk", 30),
        ("ben", "bread", 10),
    ]
    assert table.category_names == ("drinks", "food", "bakery")
    assert table.categories.astype(int).tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0]]
    assert table.source == "read from log.csv: 5 rows, 1 of them repeat a (user, item) pair"


def test_categories_of_an_item_are_all_that_its_rows_name(write):
    path = write("user,item,time,c\nu,a,1,x\nu,a,2,y\nu,b,3,x|y\n")
    assert read_table(path, category="c").categories.astype(int).tolist() == [[0, 0], [1, 1], [1, 1]]
    whole = read_table(path, category="c", category_separator=None)
    assert whole.category_names == ("x", "y", "x|y")
    assert whole.categories.astype(int).tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_other_columns_delimiters_and_encodings(write):
    path = write("wer;was;wann;Titel;Note\n1;7;3;Tee, grün;4.5\n1;8;2;Milch;2\n", encoding="latin-1")
    table = read_table(path, "wer", "was", "wann", title="Titel", rating="Note", delimiter=";", encoding="latin-1")
    assert table.titles == ("", "Tee, grün", "Milch")
    assert rows(table) == [("1", "8", 2), ("1", "7", 3)]
    assert table.rating.tolist() == [2, 4.5]
    assert table.categories is None
    with pytest.raises(ValueError, match=r"log.csv is not text in utf-8-sig; expected the name"):
        read_table(path, "wer", "was", "wann", delimiter=";")


def test_a_byte_order_mark_and_blank_lines_do_no_harm(write):
    assert len(read_table(write("\ufeffuser,item,time\r\n\r\nu,a,1\r\n\r\nu,b,2\r\n"))) == 2


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["3", "-1"], [-1, 3]),
        (["1700000000.75", "1700000000.25", "1700000001"], [1700000000, 1700000000, 1700000001]),
        (["2026-11-25", "1970-01-01"], [0, 1795564800]),
        (["1970-01-01T01:00:00+01:00", "1970-01-01 00:00:01", "1970-01-01T00:00:02Z"], [0, 1, 2]),
    ],
)
def test_times(write, values, expected):
    lines = "".join(f"u,{i},{value}\n" for i, value in enumerate(values))
    assert read_table(write("user,item,time\n" + lines)).time.tolist() == expected


def test_decimals_of_seconds_still_order_the_rows(write):
    table = read_table(write("user,item,time\nu,late,5.75\nu,early,5.25\n"))
    assert rows(table) == [("u", "early", 5), ("u", "late", 5)]


HEAD = "user,item,time,category\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "log.csv is empty; expected a header line"),
        (HEAD, "log.csv has no rows"),
        ("user,thing,time\nu,a,1\n", "log.csv has no column 'item'; its columns are 'user', 'thing', 'time'"),
        ("user,item,item,time\nu,a,b,1\n", "more than one column 'item'"),
        (HEAD + "u,a,1,x\n ,b,2,x\n", "log.csv, column 'user', line 3: the value is empty"),
        (HEAD + "u,a,1,x\n\nu,,2,x\n", "log.csv, column 'item', line 4: the value is empty"),
        (HEAD + 'u,"a\nb",1,x\nu,c,,x\n', "log.csv, column 'time', line 4: the value is empty"),
        (HEAD + "u,a,1,\n", "log.csv, column 'category', line 2: the value is empty"),
        (HEAD + "u,a,soon,x\n", "column 'time', line 2: 'soon' is not a time; expected a whole number"),
        (HEAD + "u,a,nan,x\n", "line 2: 'nan' is not a time"),
        (HEAD + "u,a,1e30,x\n", "line 2: '1e30' is not a time"),
        (HEAD + "u,a,99999999999999999999,x\n", "line 2: '99999999999999999999' is not a time"),
        (HEAD + "u,a,2026-13-01,x\n", "line 2: '2026-13-01' is not a time"),
        (HEAD + "u,a,1,x\nu,b,2026-11-25,x\n", "line 3: a date, but line 2 has a number"),
        (HEAD + "u,a,1\n", "log.csv, line 2: 3 values; expected 4"),
    ],
)
def test_a_bad_file_is_refused_with_file_column_and_line(write, text, message):
    with pytest.raises(ValueError, match=message):
        read_table(write(text), category="category")


def test_other_bad_input(write, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.csv is not a file"):
        read_table(tmp_path / "nowhere.csv")
    with pytest.raises(TypeError, match="item is 3; expected the name of a column"):
        read_table(write(CSV), item=3)
    with pytest.raises(ValueError, match="column 'rating', line 2: 'good' is not a number"):
        read_table(write("user,item,time,rating\nu,a,1,good\n"), rating="rating")
    with pytest.raises(ValueError, match="line 2: not readable as CSV, field larger"):
        read_table(write("user,item,time\nu,a,1" + "0" * 200_000 + "\n"))


def parquet(path, **columns):
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return path


def test_a_parquet_file(tmp_path):
    path = parquet(
        tmp_path / "log.parquet", user=[7, 7, 3], item=["a", "b", "a"], time=[2, 1, 5], kind=["x", "y|x", "x"]
    )
    table = read_table(path, category="kind")
    assert table.user_labels == ("7", "3")
    assert rows(table) == [("7", "b", 1), ("7", "a", 2), ("3", "a", 5)]
    assert table.categories.astype(int).tolist() == [[0, 0], [1, 0], [1, 1]]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_parquet_timestamps(tmp_path, unit):
    moments = [datetime.datetime(1970, 1, 1, 0, 0, 9), datetime.datetime(1970, 1, 1, 0, 0, 4)]
    column = pyarrow.array(moments, pyarrow.timestamp("us")).cast(pyarrow.timestamp(unit))
    if unit == "ns":
        column = pyarrow.array([9_000_000_001, 4_000_000_001], pyarrow.timestamp("ns"))
    path = parquet(tmp_path / "log.parquet", user=["u", "u"], item=["a", "b"], time=column)
    assert read_table(path).time.tolist() == [4, 9]


def test_bad_parquet_files_are_refused_with_column_and_row(tmp_path):
    path = tmp_path / "log.parquet"
    with pytest.raises(ValueError, match=r"log.parquet has no column 'time'; its columns are 'user', 'item'"):
        read_table(parquet(path, user=["u"], item=["a"]))
    with pytest.raises(ValueError, match="column 'item', row 2: the value is empty"):
        read_table(parquet(path, user=["u", "u"], item=["a", None], time=[1, 2]))
    with pytest.raises(ValueError, match="column 'time', row 1: the value is empty"):
        read_table(parquet(path, user=["u"], item=["a"], time=[float("nan")]))
    with pytest.raises(ValueError, match="column 'time', row 1: True is not a time"):
        read_table(parquet(path, user=["u"], item=["a"], time=[True]))
    with pytest.raises(ValueError, match=r"log.parquet has no rows"):
        read_table(parquet(path, user=[], item=[], time=[]))
    path.write_text("not parquet")
    with pytest.raises(ValueError, match=r"(?i)parquet"):
        read_table(path)


def test_without_pyarrow_the_error_names_the_command(tmp_path, monkeypatch):
    path = parquet(tmp_path / "log.parquet", user=["u"], item=["a"], time=[1])
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match="python -m pip install pyarrow"):
        read_table(path)


def test_what_is_read_can_be_split(write):
    lines = [f"{u},{i},{10 * i}\n" for u in ("a", "b") for i in range(9)] + ["c,1,1\n"]
    rng = np.random.default_rng(0)
    splits = leave_one_out(read_table(write("user,item,time\n" + "".join(rng.permutation(lines)))))
    table = splits.interactions
    assert sorted(table.user_labels[u] for u in splits.test.user) == ["a", "b"]
    assert [table.user_labels[u] for u in splits.dropped_users] == ["c"]
    assert [table.item_labels[i] for i in splits.test.target] == ["8", "8"]

"""Any table of (user, item, time), from CSV or Parquet."""

from __future__ import annotations

import csv
import datetime
import math
import os
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mi_lite.checks import choose

from .interactions import Interactions, category_matrix

PARQUET_SUFFIXES = (".parquet", ".pq")
REPEATS = ("keep", "first")


def read_table(
    path: str | os.PathLike[str],
    user: str = "user",
    item: str = "item",
    time: str = "time",
    category: str | None = None,
    title: str | None = None,
    rating: str | None = None,
    *,
    repeats: str = "keep",
    category_separator: str | None = "|",
    delimiter: str = ",",
    encoding: str = "utf-8-sig",
) -> Interactions:
    """Read interactions from a CSV file (with a header line) or a Parquet file.

    Users and items are numbered in the order in which they first occur; their original ids are in ``user_labels``
    and ``item_labels`` (as text). Rows are sorted by user and time; rows of one user with equal times keep the file's
    order. Repeated (user, item) pairs are counted in ``.source``.

    Args:
        path: the file; its name says what it is (``.parquet`` and ``.pq``: Parquet, everything else: CSV).
        user: name of the column with the users' ids.
        item: name of the column with the items' ids.
        time: name of the column with times: whole numbers, seconds with decimals, or ISO dates (``2026-11-25``,
            ``2026-11-25T12:51:00+01:00``), one kind for the whole file. Dates become seconds since 1970; a date without
            a zone counts as UTC. Numbers with decimals are rounded down to whole seconds, and rows are sorted before
            that.
        category: name of the column with items' categories, if there is one. An item's categories are all those that
            its rows name.
        title: name of the column with items' titles, if there is one.
        rating: name of the column with ratings, if there is one.
        repeats: ``"keep"`` every row, or only the ``"first"`` by time of each (user, item) pair. Training and
            evaluation leave seen items out of the lists, so they need a table without repeats.
        category_separator: what parts several categories of an item; None: a cell is one category.
        delimiter: what parts the cells of a CSV file.
        encoding: of a CSV file.

    Raises:
        ValueError: for an empty file, a missing column, an empty value, a time or rating that can't be read, or an
            unknown ``repeats``. The message names the column and the line of the file (the row, counted from 1, for
            Parquet).
        TypeError: for the name of a column that is no string.
        FileNotFoundError: if there is no such file.
        ImportError: for a Parquet file without pyarrow.
    """
    path = Path(path)
    choose(repeats, REPEATS, "repeats")
    wanted: dict[str, str] = {"user": user, "item": item, "time": time}
    for role, name in (("category", category), ("title", title), ("rating", rating)):
        if name is not None:
            wanted[role] = name
    for role, name in wanted.items():
        if not isinstance(name, str):
            raise TypeError(f"{role} is {name!r}; expected the name of a column.")
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; expected a CSV or Parquet file.")
    if path.suffix.lower() in PARQUET_SUFFIXES:
        where, rows = "row", _parquet_rows(path, wanted)
    else:
        where, rows = "line", _csv_rows(path, wanted, delimiter, encoding)

    users: dict[Hashable, int] = {}
    items: dict[Hashable, int] = {}
    names: dict[str, int] = {}
    item_names: list[set[int]] = []
    titles: list[str] = [""]
    columns: dict[str, list[Any]] = {"user": [], "item": [], "time": [], "rating": []}
    kind, kind_at = "", ""
    for number, row in rows:
        at = f"{where} {number}"
        for role, value in row.items():
            if value is None or (isinstance(value, str) and not value.strip()) or value != value:
                raise ValueError(f"{path.name}, column {wanted[role]!r}, {at}: the value is empty.")
        columns["user"].append(users.setdefault(_label(row["user"]), len(users)))
        number_of_item = items.setdefault(_label(row["item"]), len(items) + 1)
        columns["item"].append(number_of_item)
        moment, this_kind = _moment(row["time"])
        if not this_kind:
            raise ValueError(
                f"{path.name}, column {time!r}, {at}: {row['time']!r} is not a time; expected a whole number, seconds "
                f"or an ISO date such as 2026-11-25T12:51:00."
            )
        if kind and this_kind != kind:
            raise ValueError(f"{path.name}, column {time!r}, {at}: a {this_kind}, but {kind_at} has a {kind}.")
        kind, kind_at = this_kind, kind_at or at
        columns["time"].append(moment)
        if rating is not None:
            try:
                value = float(row["rating"])
            except (TypeError, ValueError):
                value = math.nan
            if not math.isfinite(value):
                raise ValueError(f"{path.name}, column {rating!r}, {at}: {row['rating']!r} is not a number.")
            columns["rating"].append(value)
        if number_of_item > len(item_names):
            item_names.append(set())
            titles.append(str(row.get("title", "")).strip())
        if category is not None:
            cell = str(row["category"])
            for name in cell.split(category_separator) if category_separator else [cell]:
                if name.strip():
                    item_names[number_of_item - 1].add(names.setdefault(name.strip(), len(names)))
    if not columns["user"]:
        raise ValueError(f"{path.name} has no rows; expected one for each interaction.")

    order = sorted(range(len(columns["time"])), key=columns["time"].__getitem__)  # stable; decimals still count here
    first = {(columns["user"][i], columns["item"][i]): i for i in reversed(order)}
    source = f"read from {path.name}: {len(order)} rows, {len(order) - len(first)} of them repeat a (user, item) pair"
    if repeats == "first":
        order = [i for i in order if first[columns["user"][i], columns["item"][i]] == i]
        source += " and are left out" if len(first) < len(columns["user"]) else ""
    picked = {name: [values[i] for i in order] for name, values in columns.items() if values}
    return Interactions.from_rows(
        user=picked["user"],
        item=picked["item"],
        time=np.array([math.floor(moment) for moment in picked["time"]], dtype=np.int64),
        rating=picked.get("rating"),
        num_users=len(users),
        num_items=len(items),
        user_labels=tuple(users),
        item_labels=(None, *items),
        titles=tuple(titles) if title is not None else None,
        categories=category_matrix([sorted(numbers) for numbers in item_names], len(names)) if category else None,
        category_names=tuple(names),
        source=source,
    )


def _csv_rows(
    path: Path, wanted: dict[str, str], delimiter: str, encoding: str
) -> Iterator[tuple[int, dict[str, Any]]]:
    line = 1  # a quoted cell may hold line breaks: a row is named by its first line
    with path.open(newline="", encoding=encoding) as file:
        reader = csv.reader(file, delimiter=delimiter)
        try:
            header = [name.strip() for name in next(reader, [])]
            if not header:
                raise ValueError(f"{path.name} is empty; expected a header line and one line for each interaction.")
            index = {role: _column(path, name, header) for role, name in wanted.items()}
            line = reader.line_num + 1
            for cells in reader:
                if cells and len(cells) != len(header):
                    raise ValueError(f"{path.name}, line {line}: {len(cells)} values; expected {len(header)}.")
                if cells:
                    yield line, {role: cells[i] for role, i in index.items()}
                line = reader.line_num + 1
        except UnicodeDecodeError as error:
            raise ValueError(f"{path.name} is not text in {encoding}; expected the name of its encoding.") from error
        except csv.Error as error:
            raise ValueError(f"{path.name}, line {line}: not readable as CSV, {error}.") from error


def _parquet_rows(path: Path, wanted: dict[str, str]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ImportError("reading Parquet needs pyarrow; install it with: python -m pip install pyarrow") from error
    file = parquet.ParquetFile(path)
    header = file.schema_arrow.names
    for name in wanted.values():
        _column(path, name, header)
    row = 0
    for batch in file.iter_batches(columns=sorted(set(wanted.values()))):
        values = {role: _pylist(batch.column(name)) for role, name in wanted.items()}
        for i in range(batch.num_rows):
            row += 1
            yield row, {role: column[i] for role, column in values.items()}


def _pylist(column: Any) -> list[Any]:
    """Python values; a timestamp in nanoseconds, which Python has not, is cut to microseconds."""
    if str(column.type).startswith("timestamp[ns"):
        import pyarrow

        column = column.cast(pyarrow.timestamp("us", tz=column.type.tz), safe=False)
    values: list[Any] = column.to_pylist()
    return values


def _column(path: Path, name: str, header: list[str]) -> int:
    if header.count(name) != 1:
        problem = "more than one column" if name in header else "no column"
        raise ValueError(f"{path.name} has {problem} {name!r}; its columns are {', '.join(map(repr, header))}.")
    return header.index(name)


def _label(value: Any) -> str:
    return str(value).strip()


def _moment(value: Any) -> tuple[float, str]:
    """Seconds (or the source's whole number) and what kind of value it was; kind "" if it is no time."""
    moment, kind = _parse_moment(value)
    return (moment, kind) if abs(moment) < 2**63 else (0, "")


def _parse_moment(value: Any) -> tuple[float, str]:
    if isinstance(value, str):
        value = value.strip()
        try:
            return int(value), "number"
        except ValueError:
            pass
        try:
            value = float(value)
        except ValueError:
            try:
                value = datetime.datetime.fromisoformat(value)
            except ValueError:
                return 0, ""
    if isinstance(value, bool):
        return 0, ""
    if isinstance(value, int):
        return value, "number"
    if isinstance(value, float):
        return (value, "number") if math.isfinite(value) else (0, "")
    if isinstance(value, datetime.date):
        if not isinstance(value, datetime.datetime):
            value = datetime.datetime(value.year, value.month, value.day)
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.UTC)
        return value.timestamp(), "date"
    return 0, ""

"""MovieLens-100K: one table from either source, checked, cached whole or not at all, ties in the file's order."""

from __future__ import annotations

import hashlib
import io
import logging
import re
import subprocess
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mi_lite.data import movielens, movielens_100k
from mi_lite.data.movielens import DataError, parse_grouplens, parse_recbole, table_sha256

AGES = (10, 18, 25, 35, 45, 50, 56)  # one age of each band


@pytest.fixture(scope="module")
def data():
    return movielens_100k()


def ratings(data):
    rows = zip(data.user + 1, data.item, data.rating.astype(int), data.time, strict=True)
    return "".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in rows)


def people(data, bar):
    lines = []
    for user, (age, gender, occupation) in enumerate(data.profile, start=1):
        words = (movielens.GENDERS[gender], movielens.OCCUPATIONS[occupation], "00000")
        lines.append(bar.join([str(user), str(AGES[age]), *words]) + "\n")
    return "".join(lines)


def grouplens_files(data):
    """The table in the format of GroupLens' files, with the stray space that three of its titles end in."""
    films = []
    for item in range(1, data.num_items + 1):
        flags = "|".join("1" if flag else "0" for flag in data.categories[item])
        space = " " if item in (1128, 1201, 1635) else ""
        films.append(f"{item}|{data.titles[item]}{space}|01-Jan-1995||http://example.org/|{flags}\n")
    texts = {"u.data": ratings(data), "u.item": "".join(films), "u.user": people(data, "|")}
    return {name: text.encode("latin-1") for name, text in texts.items()}


def recbole_files(data):
    """The table in the format of recbole's atomic files: title and year apart, genres by name, UTF-8."""
    films = ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"]
    for item in range(1, data.num_items + 1):
        title = re.fullmatch(r"(.*) \(([^()]*)\)", data.titles[item])
        name, year = title.groups() if title else ("unkonwn", "unkonwn")
        genres = " ".join(np.array(movielens.GENRES)[data.categories[item]])
        films.append(f"{item}\t{name}\t{year}\t{genres}\n")
    texts = {
        "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + ratings(data),
        "ml-100k.item": "".join(films),
        "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip\n" + people(data, "\t"),
    }
    return {name: text.encode() for name, text in texts.items()}


def archive(files, folder):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            made.writestr(f"{folder}/{name}", data)
    return content.getvalue()


def sums(files):
    return {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}


@pytest.fixture(scope="module")
def made(data):
    """The files of both sources, made from the table, and an archive of each."""
    grouplens, recbole = grouplens_files(data), recbole_files(data)
    zipped = archive(grouplens, "ml-100k"), archive(recbole, "recbole/dataset_example/ml-100k")
    return {"grouplens": grouplens, "recbole": recbole, "zip": zipped[0], "wheel": zipped[1]}


@pytest.fixture
def sources(made, monkeypatch):
    """Both sources played by archives made from the table; a test may spoil either before it loads.

    The archives are ours, so the pinned checksums of their files are replaced; that of the table stays.
    """
    served = {"zip": made["zip"], "wheel": made["wheel"]}
    asked = []

    def urlopen(url, timeout):
        asked.append((url, timeout))
        if served["zip"] is None:
            raise TimeoutError("timed out")
        return io.BytesIO(served["zip"])

    def run(command, **options):
        asked.append(command)
        folder = Path(command[command.index("--dest") + 1])
        if served["wheel"] is None:
            return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution\n")
        (folder / "recbole-1.2.1-py3-none-any.whl").write_bytes(served["wheel"])
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(movielens, "GROUPLENS_FILES", sums(made["grouplens"]))
    monkeypatch.setattr(movielens, "RECBOLE_FILES", sums(made["recbole"]))
    monkeypatch.setattr(movielens.urllib.request, "urlopen", urlopen)
    monkeypatch.setattr(movielens.subprocess, "run", run)
    monkeypatch.delenv(movielens.ENVIRONMENT, raising=False)
    served["asked"] = asked
    return served


# --- the table


def test_the_published_figures(data):
    assert (data.num_users, data.num_items, len(data)) == (943, 1682, 100_000)
    assert data.lengths.min() == 20
    assert data.lengths.max() == 737
    assert np.bincount(data.rating.astype(int)).tolist() == [0, 6110, 11370, 27145, 34174, 21201]
    assert data.item_labels[:3] == (None, 1, 2)
    assert data.user_labels[0] == 1
    assert data.titles[:2] == ("", "Toy Story (1995)")
    assert data.titles[267] == "unknown"
    assert data.titles[543] == "Misérables, Les (1995)"
    assert len(data.category_names) == 19
    assert [data.category_names[c] for c in np.flatnonzero(data.categories[1])] == ["Animation", "Children's", "Comedy"]
    assert data.categories[1:].any(axis=1).all()
    assert not any(title != title.strip() or "  " in title for title in data.titles)
    assert data.profile_names == ("age", "gender", "occupation")
    assert data.profile_sizes == (7, 2, 21)
    assert np.bincount(data.profile[:, 1]).tolist() == [273, 670]
    first = [values[code] for values, code in zip(data.profile_values, data.profile[0], strict=True)]
    assert first == ["18-24", "M", "technician"]
    assert table_sha256(data) == movielens.TABLE_SHA256


def test_both_formats_parse_into_the_same_table(made):
    assert table_sha256(parse_grouplens(made["grouplens"], "a test")) == movielens.TABLE_SHA256
    assert table_sha256(parse_recbole(made["recbole"], "a test")) == movielens.TABLE_SHA256


@pytest.mark.parametrize("name", ["user", "item", "time", "rating", "titles", "categories", "profile"])
def test_the_checksum_of_the_table_sees_every_field(data, name):
    values = getattr(data, name)
    if name == "titles":
        changed = (*values[:-1], "another film")
    else:
        changed = values.copy()
        changed[-1] = ~changed[-1] if name == "categories" else changed[-1] - 1
    table = type("Table", (), {f: getattr(data, f) for f in data.__dataclass_fields__} | {name: changed})
    assert table_sha256(table) != movielens.TABLE_SHA256


def test_age_bands():
    ages = [7, 17, 18, 24, 25, 34, 35, 44, 45, 49, 50, 55, 56, 73]
    people = [[str(i), str(age), "F", "other", "0"] for i, age in enumerate(ages, start=1)]
    rows = np.array([[1, 1, 5, 0]])
    table = movielens._table(rows, [1], ["a film"], [[0]], people, "")
    assert table.profile[:, 0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_ties_keep_the_order_of_the_file():
    lines = [(1, 9, 5, 100), (1, 2, 4, 100), (2, 7, 3, 50), (1, 5, 2, 99), (1, 4, 1, 100), (2, 8, 3, 50)]
    films = "".join(f"{i}|film {i} (1990)|||{'|'.join('1' + '0' * 18)}\n".replace("|||", "||||") for i in range(1, 10))
    files = {
        "u.data": "".join("\t".join(map(str, line)) + "\n" for line in lines).encode(),
        "u.item": films.encode(),
        "u.user": b"1|20|M|other|0\n2|30|F|other|0\n",
    }
    table = parse_grouplens(files, "a test")
    assert table.item.tolist() == [5, 9, 2, 4, 7, 8]
    assert table.rating.tolist() == [2, 5, 4, 1, 3, 3]


def test_ties_are_many_and_not_ordered_by_id(data):
    tied = (np.diff(data.user) == 0) & (np.diff(data.time) == 0)
    assert tied.sum() / (np.diff(data.user) == 0).sum() == pytest.approx(0.51, abs=0.02)
    ascending = (np.diff(data.item) > 0)[tied].mean()
    assert ascending == pytest.approx(0.5, abs=0.02)
    last, before = data.offsets[1:] - 1, data.offsets[1:] - 2  # where ids would make late films the test targets
    same_time = data.time[last] == data.time[before]
    assert (data.item[last] > data.item[before])[same_time].mean() == pytest.approx(0.5, abs=0.06)


# --- the sources


def test_grouplens_comes_first(sources, tmp_path):
    table = movielens_100k(cache=tmp_path)
    assert table.source == f"downloaded from {movielens.URL}"
    assert sources["asked"] == [(movielens.URL, 5)]


@pytest.mark.parametrize("broken", [None, b"", b"<html>not here</html>", "half", "other"])
def test_a_broken_download_leads_to_the_wheel(sources, tmp_path, broken, made):
    whole = sources["zip"]
    if broken == "half":
        broken = whole[: len(whole) // 2]
    if broken == "other":  # a whole archive with one rating changed
        files = made["grouplens"]
        broken = archive(files | {"u.data": files["u.data"].replace(b"\t5\t", b"\t4\t", 1)}, "ml-100k")
    sources["zip"] = broken
    table = movielens_100k(cache=tmp_path)
    assert "recbole==1.2.1" in table.source
    assert table_sha256(table) == movielens.TABLE_SHA256
    assert sources["asked"][1][1:4] == ["-m", "pip", "--disable-pip-version-check"]
    assert sources["asked"][1][-1] == "recbole==1.2.1"


def test_when_nothing_can_be_had_the_error_names_both_attempts_and_a_way_out(sources, tmp_path):
    sources["zip"] = sources["wheel"] = None
    with pytest.raises(DataError) as caught:
        movielens_100k(cache=tmp_path)
    message = str(caught.value)
    assert "grouplens: timed out" in message
    assert "recbole: pip download recbole==1.2.1 ended with status 1: ERROR: No matching distribution" in message
    assert "MI_LITE_DATA" in message
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_is_named(sources, tmp_path, made):
    files = made["recbole"]
    spoiled = files["ml-100k.inter"].replace(b"\t5\t", b"\t4\t", 1)
    sources["wheel"] = archive(files | {"ml-100k.inter": spoiled}, "recbole/dataset_example/ml-100k")
    with pytest.raises(DataError, match=r"ml-100k.inter in .* has SHA-256 [0-9a-f]{64}; expected [0-9a-f]{64}"):
        movielens_100k(cache=tmp_path, source="recbole")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_parses_into_another_table_is_refused(sources, tmp_path, monkeypatch):
    monkeypatch.setattr(movielens, "AGE_STARTS", (18, 25, 35, 45, 50, 57))
    with pytest.raises(DataError, match="the parsed table has SHA-256"):
        movielens_100k(cache=tmp_path)


def test_an_archive_without_the_files_is_refused(sources, tmp_path):
    sources["zip"] = sources["wheel"] = archive({"README": b"nothing"}, "ml-100k")
    with pytest.raises(DataError, match=r"(?s)does not hold u.data, u.item, u.user.*does not hold ml-100k.inter"):
        movielens_100k(cache=tmp_path)


def test_a_named_source_is_the_only_one_asked(sources, tmp_path):
    assert "wheel" in movielens_100k(cache=tmp_path, source="recbole").source
    assert len(sources["asked"]) == 1
    sources["zip"] = None
    with pytest.raises(DataError, match="grouplens: timed out"):
        movielens_100k(cache=tmp_path, source="grouplens")
    with pytest.raises(TypeError, match="source is 5"):
        movielens_100k(cache=tmp_path, source=5)


@pytest.mark.parametrize("form", ["zip", "wheel", "folder", "folder of zip", "folder of files"])
def test_a_copy_at_hand(sources, tmp_path, made, monkeypatch, form):
    at = tmp_path / "copy"
    at.mkdir()
    if form in ("zip", "folder of zip"):
        (at / "ml-100k.zip").write_bytes(sources["zip"])
    elif form == "wheel":
        (at / "recbole-1.2.1-py3-none-any.whl").write_bytes(sources["wheel"])
    else:
        inside = at / "ml-100k" if form == "folder of files" else at
        inside.mkdir(exist_ok=True)
        for name, content in made["grouplens"].items():
            (inside / name).write_bytes(content)
    path = next(at.iterdir()) if form in ("zip", "wheel") else at
    monkeypatch.setenv("MI_LITE_DATA", str(path))
    table = movielens_100k(cache=tmp_path / "cache")
    assert table.source.startswith(f"read from {path}")
    assert table_sha256(table) == movielens.TABLE_SHA256
    assert sources["asked"] == []


def test_a_copy_that_is_not_one(sources, tmp_path):
    with pytest.raises(DataError, match=r"nowhere does not exist"):
        movielens_100k(cache=tmp_path / "cache", source=str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"does not hold u.data, u.item, u.user nor ml-100k.inter"):
        movielens_100k(cache=tmp_path / "cache", source=tmp_path)


# --- the cache


def test_the_cache_is_read_back_equal_and_quickly(sources, tmp_path):
    loaded = movielens_100k(cache=tmp_path)
    sources["zip"] = sources["wheel"] = None
    began = time.process_time()
    cached = movielens_100k(cache=tmp_path)
    assert time.process_time() - began < 1.0
    assert cached.source == loaded.source
    for name in loaded.__dataclass_fields__:
        assert np.array_equal(getattr(loaded, name), getattr(cached, name)) or getattr(loaded, name) == getattr(
            cached, name
        ), name
    assert [path.name for path in tmp_path.iterdir()] == ["movielens-100k.npz"]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_no_file(sources, tmp_path, monkeypatch, error):
    def half(file, **arrays):
        file.write(b"PK half an archive")
        raise error

    monkeypatch.setattr(movielens.np, "savez_compressed", half)
    if isinstance(error, OSError):
        assert len(movielens_100k(cache=tmp_path)) == 100_000  # the table is there, only the cache is not
    else:
        with pytest.raises(KeyboardInterrupt):
            movielens_100k(cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_appears_under_its_name_only_by_one_move(sources, tmp_path, monkeypatch):
    def refuse(here, there):
        assert zipfile.is_zipfile(here)  # whole before it moves
        assert not Path(there).exists()
        raise PermissionError("the move is refused")

    monkeypatch.setattr(movielens.os, "replace", refuse)
    assert len(movielens_100k(cache=tmp_path)) == 100_000
    assert list(tmp_path.iterdir()) == []


def test_an_unusable_cache_is_said_and_made_anew(sources, tmp_path, caplog):
    stored = tmp_path / movielens.CACHE_NAME
    movielens_100k(cache=tmp_path)
    whole = stored.read_bytes()
    for broken in (b"", b"PK", whole[: len(whole) // 2]):
        stored.write_bytes(broken)
        caplog.clear()
        assert len(movielens_100k(cache=tmp_path)) == 100_000
        assert "is not usable and is made anew" in caplog.text
        assert len(movielens_100k(cache=tmp_path, source=None)) == 100_000


def test_a_changed_cache_is_noticed(sources, tmp_path, caplog):
    table = movielens_100k(cache=tmp_path)
    stored = tmp_path / movielens.CACHE_NAME
    with np.load(stored) as arrays:
        changed = dict(arrays)
    changed["rating"] = 6 - changed["rating"]
    np.savez_compressed(stored, **changed)
    again = movielens_100k(cache=tmp_path)
    assert np.array_equal(again.rating, table.rating)
    assert "SHA-256" in caplog.text


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(sources, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    assert len(movielens_100k(cache=tmp_path / "file" / "cache")) == 100_000
    assert "not cached" in caplog.text


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", "there/mi_lite"),
        ("linux", None, "home/.cache/mi_lite"),
        ("darwin", None, "home/Library/Caches/mi_lite"),
        ("win32", "LOCALAPPDATA", "there/mi_lite"),
        ("win32", None, "home/AppData/Local/mi_lite"),
    ],
)
def test_the_default_cache_is_the_platforms(monkeypatch, tmp_path, platform, variable, expected):
    monkeypatch.setattr(movielens.sys, "platform", platform)
    monkeypatch.setattr(movielens.Path, "home", lambda: tmp_path / "home")
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path / "there"))
    assert movielens.default_cache() == tmp_path / expected


def test_it_says_where_the_table_came_from(sources, tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="mi_lite.data.movielens")
    movielens_100k(cache=tmp_path)
    assert f"downloaded from {movielens.URL}" in caplog.text
    movielens_100k(cache=tmp_path)
    assert f"cached in {tmp_path}" in caplog.text


def test_loading_imports_neither_recbole_nor_pandas():
    code = (
        "import sys; from mi_lite.data import movielens_100k; movielens_100k(); "
        "assert not {'recbole', 'pandas'} & set(sys.modules)"
    )
    root = Path(movielens.__file__).parents[2]
    subprocess.run([movielens.sys.executable, "-c", code], check=True, cwd=root)

"""MovieLens-100K: 100,000 ratings of 1,682 films by 943 people, September 1997 to April 1998.

F. Maxwell Harper and Joseph A. Konstan, "The MovieLens Datasets: History and Context", ACM TiiS 5(4), 2015.
Its licence allows research use and forbids redistribution, so it is fetched on first use and kept outside the clone.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import logging
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .interactions import Interactions, category_matrix

logger = logging.getLogger(__name__)

URL = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
REQUIREMENT = "recbole==1.2.1"
CONNECT_TIMEOUT_S = 5
PIP_TIMEOUT_S = 120
MAX_BYTES = 64 * 2**20
ENVIRONMENT = "MI_LITE_DATA"
CACHE_NAME = "movielens-100k.npz"

# SHA-256 of the files that are read, by source. Both sources hold the same ratings, byte for byte, in the same order:
# ml-100k.inter is u.data under one header line, ml-100k.user is u.user with tabs for bars.
GROUPLENS_FILES = {
    "u.data": "06416e597f82b7342361e41163890c81036900f418ad91315590814211dca490",
    "u.item": "553841ebc7de3a0fd0d6b62a204ea30c1e651aacfb2814c7a6584ac52f2c5701",
    "u.user": "f120e114da2e8cf314fd28f99417c94ae9ddf1cb6db8ce0e4b5995d40e90e62c",
}
RECBOLE_FILES = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
# SHA-256 of the canonical table (table_sha256): the same from either source.
TABLE_SHA256 = "ca095204b93c5b9e13a9f65b5e4b11b5ab7f142e667922f6849b10036d516a80"

# fmt: off
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)
OCCUPATIONS = (
    "administrator", "artist", "doctor", "educator", "engineer", "entertainment", "executive", "healthcare",
    "homemaker", "lawyer", "librarian", "marketing", "none", "other", "programmer", "retired", "salesman",
    "scientist", "student", "technician", "writer",
)
# fmt: on
# The age bands that MovieLens-1M uses; 100K states ages in years.
AGE_BANDS = ("under 18", "18-24", "25-34", "35-44", "45-49", "50-55", "56 and over")
AGE_STARTS = (18, 25, 35, 45, 50, 56)
GENDERS = ("F", "M")
NAMES: dict[str, Any] = {
    "category_names": GENRES,
    "profile_names": ("age", "gender", "occupation"),
    "profile_sizes": (len(AGE_BANDS), len(GENDERS), len(OCCUPATIONS)),
    "profile_values": (AGE_BANDS, GENDERS, OCCUPATIONS),
}


class DataError(RuntimeError):
    """The data could not be had, or are not the data that were expected."""


FETCH_ERRORS = (
    DataError,
    OSError,
    ValueError,
    http.client.HTTPException,
    subprocess.SubprocessError,
    zipfile.BadZipFile,
)


def movielens_100k(cache: str | os.PathLike[str] | None = None, source: str | None = None) -> Interactions:
    """MovieLens-100K as one table: titles, genres as categories, a profile (age band, gender, occupation), ratings.

    Users are numbered in the order of their ids, items 1 .. 1682 have the source's movie ids. Rows of one user with
    equal times (half of all neighbours) keep the order of ``u.data``, which is not an order of ids. ``.source`` says
    where the table came from.

    Args:
        cache: folder for the parsed table; None: the user's cache folder for ``mi_lite``.
        source: ``"grouplens"``, ``"recbole"``, or the path of a copy of one's own: ``ml-100k.zip``, a recbole wheel, or
            a folder with the files of either. None: the cache; else the path in the environment variable
            ``MI_LITE_DATA``, if set; else GroupLens' server; else the copy that recbole 1.2.1 carries on the Python
            package index (pip fetches the wheel, nothing of it is imported).

    Returns:
        `Interactions` with U = 943, N = 1682, n = 100,000, C = 19 and P = 3.

    Raises:
        TypeError: for a source that is neither a name nor a path.
        DataError: if no source could be had (every attempt is named), or a checksum differs.
    """
    if source is not None and not isinstance(source, (str, os.PathLike)):
        raise TypeError(f"source is {source!r}; expected 'grouplens', 'recbole' or a path.")
    folder = Path(cache) if cache is not None else default_cache()
    stored = folder / CACHE_NAME
    if source is None:
        table = _load(stored)
        if table is not None:
            logger.info("MovieLens-100K: cached in %s, %s", stored, table.source)
            return table
        source = os.environ.get(ENVIRONMENT) or None
    fetchers: dict[str, Callable[[], Interactions]] = {"grouplens": _from_grouplens, "recbole": _from_recbole}
    if source is None:
        attempts = list(fetchers.items())
    elif source in fetchers:
        attempts = [(str(source), fetchers[str(source)])]
    else:
        path = Path(source)
        attempts = [(str(path), lambda: read_copy(path))]
    failures = []
    for name, fetch in attempts:
        try:
            table = _verify(fetch())
        except FETCH_ERRORS as error:
            logger.info("MovieLens-100K: %s failed: %s", name, error)
            failures.append(f"{name}: {error}")
            continue
        logger.info("MovieLens-100K: %s", table.source)
        _store(stored, table)
        return table
    raise DataError(
        "MovieLens-100K could not be had.\n  " + "\n  ".join(failures) + f"\nDownload {URL} by hand and set "
        f"{ENVIRONMENT} to its path, or call movielens_100k(source=PATH)."
    )


def default_cache() -> Path:
    """The folder for cached data: the platform's cache folder for the user, and ``mi_lite`` in it."""
    if sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "mi_lite"


def read_copy(path: Path) -> Interactions:
    """Parse a copy at hand: GroupLens' zip, a recbole wheel, or a folder with one of them or its files.

    Raises:
        DataError: if the path does not exist or does not hold the files.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist.")
    places = [path]
    if path.is_dir():
        places += [path / "ml-100k", *sorted(path.glob("ml-100k.zip")), *sorted(path.glob("recbole-*.whl"))]
    for place in places:
        for files, parse in ((GROUPLENS_FILES, parse_grouplens), (RECBOLE_FILES, parse_recbole)):
            found = _read_files(place, files)
            if found is not None:
                return parse(found, f"read from {place}")
    raise DataError(f"{path} does not hold {', '.join(GROUPLENS_FILES)} nor {', '.join(RECBOLE_FILES)}.")


def _read_files(path: Path, wanted: dict[str, str]) -> dict[str, bytes] | None:
    """The contents of the wanted files in a folder or archive, their checksums verified; None if one is not there."""
    if path.is_dir():
        contents = {name: (path / name).read_bytes() for name in wanted if (path / name).is_file()}
    elif path.is_file():
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.rsplit("/", 1)[-1]: info for info in archive.infolist()}
            contents = {
                name: archive.read(members[name])
                for name in wanted
                if name in members and members[name].file_size <= MAX_BYTES
            }
    else:
        return None
    if len(contents) < len(wanted):
        return None
    for name, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        if digest != wanted[name]:
            raise DataError(f"{name} in {path.name} has SHA-256 {digest}; expected {wanted[name]}.")
    return contents


def _from_grouplens() -> Interactions:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ml-100k.zip"
        with urllib.request.urlopen(URL, timeout=CONNECT_TIMEOUT_S) as response:
            content = response.read(MAX_BYTES)
        path.write_bytes(content)
        found = _read_files(path, GROUPLENS_FILES)
    if found is None:
        raise DataError(f"the archive does not hold {', '.join(GROUPLENS_FILES)}.")
    return parse_grouplens(found, f"downloaded from {URL}")


def _from_recbole() -> Interactions:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        command += ["--only-binary=:all:", "--dest", folder, REQUIREMENT]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_TIMEOUT_S, check=False)
        wheels = sorted(Path(folder).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            said = (done.stderr.strip() or "no output").splitlines()[-1]
            raise DataError(f"pip download {REQUIREMENT} ended with status {done.returncode}: {said}")
        found = _read_files(wheels[0], RECBOLE_FILES)
    if found is None:
        raise DataError(f"the wheel does not hold {', '.join(RECBOLE_FILES)}.")
    return parse_recbole(found, f"taken from the copy in the {REQUIREMENT} wheel (pip download)")


def parse_grouplens(files: dict[str, bytes], source: str) -> Interactions:
    """The table from GroupLens' own files: u.data (tabs), u.item (bars, Latin-1), u.user (bars)."""
    ratings = np.loadtxt(io.BytesIO(files["u.data"]), dtype=np.int64, delimiter="\t")
    films = [line.split("|") for line in files["u.item"].decode("latin-1").split("\n") if line]
    people = [line.split("|") for line in files["u.user"].decode("ascii").split("\n") if line]
    titles = [film[1] for film in films]
    genres = [[g for g, flag in enumerate(film[5:]) if flag == "1"] for film in films]
    return _table(ratings, [int(film[0]) for film in films], titles, genres, people, source)


def parse_recbole(files: dict[str, bytes], source: str) -> Interactions:
    """The table from recbole's atomic files (tabs, one header line). Titles get back the year that they lost."""
    ratings = np.loadtxt(io.BytesIO(files["ml-100k.inter"]), dtype=np.int64, delimiter="\t", skiprows=1)
    films = [line.split("\t") for line in files["ml-100k.item"].decode("utf-8").split("\n")[1:] if line]
    people = [line.split("\t") for line in files["ml-100k.user"].decode("ascii").split("\n")[1:] if line]
    no_year = "unkonwn"  # spelled so in the file
    titles = ["unknown" if film[2] == no_year else f"{film[1]} ({film[2]})" for film in films]
    genres = [[GENRES.index(name) for name in film[3].split(" ")] for film in films]
    return _table(ratings, [int(film[0]) for film in films], titles, genres, people, source)


def _table(
    ratings: np.ndarray,
    film_ids: list[int],
    titles: list[str],
    genres: list[list[int]],
    people: list[list[str]],
    source: str,
) -> Interactions:
    num_users, num_items = len(people), len(film_ids)
    if film_ids != list(range(1, num_items + 1)) or [int(p[0]) for p in people] != list(range(1, num_users + 1)):
        raise DataError("film or user ids are not 1, 2, 3, ... in order.")
    profile = [
        [np.searchsorted(AGE_STARTS, int(age), side="right"), GENDERS.index(gender), OCCUPATIONS.index(occupation)]
        for _, age, gender, occupation, *_ in people
    ]
    return Interactions.from_rows(
        user=ratings[:, 0] - 1,
        item=ratings[:, 1],
        time=ratings[:, 3],
        rating=ratings[:, 2],
        num_users=num_users,
        num_items=num_items,
        user_labels=tuple(range(1, num_users + 1)),
        titles=("", *(re.sub(r"\s+", " ", title).strip() for title in titles)),
        categories=category_matrix(genres, len(GENRES)),
        profile=np.array(profile, dtype=np.int64),
        source=source,
        **NAMES,
    )


def table_sha256(table: Interactions) -> str:
    """SHA-256 of the canonical table: its arrays in a fixed byte order, its titles in UTF-8, whatever its source."""
    digest = hashlib.sha256()
    for name in ("user", "item", "time", "profile"):
        digest.update(np.ascontiguousarray(getattr(table, name)).astype("<i8").tobytes())
    digest.update(np.asarray(table.rating).astype("<f4").tobytes())
    digest.update(np.asarray(table.categories).astype("u1").tobytes())
    for words in (table.titles or (), table.category_names, *table.profile_values):
        digest.update("\n".join(words).encode("utf-8") + b"\0")
    return digest.hexdigest()


def _verify(table: Interactions) -> Interactions:
    digest = table_sha256(table)
    if digest != TABLE_SHA256:
        raise DataError(f"the parsed table has SHA-256 {digest}; expected {TABLE_SHA256}.")
    return table


def _store(path: Path, table: Interactions) -> None:
    """Write the table beside its final name and move it there, so that no reader ever meets half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        logger.warning("MovieLens-100K: not cached, %s", error)
        return
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(
                file,
                user=table.user.astype(np.int32),
                item=table.item.astype(np.int32),
                time=table.time.astype(np.int32),
                rating=np.asarray(table.rating),
                titles=np.array(table.titles),
                categories=np.asarray(table.categories),
                profile=np.asarray(table.profile),
                source=np.array(table.source),
            )
        os.replace(temporary, path)
    except OSError as error:
        logger.warning("MovieLens-100K: not cached, %s", error)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _load(path: Path) -> Interactions | None:
    """The cached table, or None if there is none or it is not what it should be."""
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            return _verify(
                Interactions(
                    user=stored["user"],
                    item=stored["item"],
                    time=stored["time"],
                    rating=stored["rating"],
                    num_users=len(stored["profile"]),
                    num_items=len(stored["titles"]) - 1,
                    user_labels=tuple(range(1, len(stored["profile"]) + 1)),
                    titles=tuple(stored["titles"].tolist()),
                    categories=stored["categories"],
                    profile=stored["profile"],
                    source=str(stored["source"]),
                    **NAMES,
                )
            )
    except (DataError, OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        logger.warning("MovieLens-100K: the cached %s is not usable and is made anew: %s", path, error)
        return None

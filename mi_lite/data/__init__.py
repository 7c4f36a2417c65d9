"""Data sets: a synthetic world whose truth is known, MovieLens-100K, and any table of your own."""

from .interactions import Examples, Interactions, Splits, leave_one_out
from .movielens import DataError, movielens_100k
from .synthetic import World, synthetic_world
from .table import read_table

__all__ = [
    "DataError",
    "Examples",
    "Interactions",
    "Splits",
    "World",
    "leave_one_out",
    "movielens_100k",
    "read_table",
    "synthetic_world",
]

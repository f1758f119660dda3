"""The long frame of Nixtla's libraries, whose columns say by their names what they are."""

from collections.abc import Collection, Mapping
from typing import Any

from hpo.spec.words import listed

PURPOSES = {"data.series": "unique_id", "data.time": "ds", "data.target": "y"}


def long_columns(names: Collection[str], given: Mapping[str, Any]) -> dict[str, str]:
    """The columns of a long frame by the dotted key of what they are, but for what is `given`.

    Nothing where one of the three columns lacks. Others are no covariates unless they are named.

    >>> long_columns(["unique_id", "ds", "y", "price"], {})
    {'data.series': 'unique_id', 'data.time': 'ds', 'data.target': 'y'}
    >>> long_columns(["unique_id", "ds", "y", "sales"], {"data.target": "sales"})
    {'data.series': 'unique_id', 'data.time': 'ds'}
    >>> long_columns(["ds", "y"], {})
    {}
    """
    if not set(PURPOSES.values()) <= set(names):
        return {}
    used = {given[key] for key in PURPOSES if key in given} | set(given.get("data.covariates", ()))
    return {key: c for key, c in PURPOSES.items() if key not in given and c not in used}


def said_of(taken: Mapping[str, str]) -> tuple[str, ...]:
    """A sentence on the columns that were taken by their names; none where none were.

    >>> said_of({"data.series": "unique_id", "data.time": "ds", "data.target": "y"})
    ("the columns 'unique_id', 'ds', 'y' are taken as series, time, target",)
    """
    if not taken:
        return ()
    purposes = ", ".join(key.rpartition(".")[2] for key in taken)
    columns, be = ("columns", "are") if len(taken) > 1 else ("column", "is")
    return (f"the {columns} {listed(list(taken.values()))} {be} taken as {purposes}",)

"""Which database is meant when none is named."""

import os

DEFAULT_STORAGE = "sqlite:///hpo.db"


def storage_in_force() -> str:
    """The URL in HPO_STORAGE, else a file in the current folder."""
    return os.environ.get("HPO_STORAGE") or DEFAULT_STORAGE

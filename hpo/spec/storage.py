"""Which database is meant when none is named."""

import os

STORAGE = "HPO_STORAGE"  # the variable that names it
DEFAULT_STORAGE = "sqlite:///hpo.db"


def storage_in_force() -> str:
    """The URL in HPO_STORAGE, else a file in the current folder."""
    return os.environ.get(STORAGE) or DEFAULT_STORAGE

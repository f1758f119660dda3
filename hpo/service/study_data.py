"""A study's data as workers get them: as Parquet, large ones by their place and checksum."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from hpo.errors import DataError
from hpo.spec.study import Data

if TYPE_CHECKING:
    import pandas as pd

MOST_STORED_BYTES = 2**25  # of a file's data as Parquet; larger files stay where they are
MOST_FRAME_BYTES = 2**29  # of a frame, which is nowhere else
DATA_DIR = "HPO_DATA_DIR"


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """The data as Parquet, or the URI of their file and the SHA-256 (hex) of its bytes."""

    parquet: bytes | None = None
    uri: str | None = None
    sha256: str | None = None


def to_be_stored(
    frame: "pd.DataFrame", data: Data, *, most_bytes: int = MOST_STORED_BYTES
) -> StudyData:
    """What the database keeps of the data, `frame` being read from data.source or made in memory.

    Raises DataError for a frame that is too large to be kept.
    """
    from hpo.data.load import to_parquet

    parquet, file = to_parquet(frame), Path(data.source)
    if len(parquet) <= most_bytes:
        return StudyData(parquet=parquet)
    if file.is_file():
        return StudyData(uri=file.resolve().as_uri(), sha256=_checksum(file))
    if len(parquet) > MOST_FRAME_BYTES:
        raise DataError(
            f"the frame takes {len(parquet) / 2**20:.0f} MiB as Parquet, more than the"
            f" {MOST_FRAME_BYTES / 2**20:.0f} MiB that a database keeps",
            remedy="write it to a Parquet file where the workers find it, and give its path",
        )
    return StudyData(parquet=parquet)


def load(kept: StudyData, data: Data) -> "pd.DataFrame":
    """The data as they were submitted. Raises DataError where a large file cannot be used."""
    from hpo.data.load import from_parquet, read_file

    if kept.parquet is not None:
        return from_parquet(kept.parquet)
    assert kept.uri is not None, "data are kept as Parquet or by URI"
    file = _find(kept.uri)
    if (found := _checksum(file)) != kept.sha256:
        raise DataError(
            f"the data have changed: their SHA-256 is {found[:12]}..., not"
            f" {str(kept.sha256)[:12]}...",
            where=str(file),
            remedy="give this worker the file that was submitted",
        )
    return read_file(data.model_copy(update={"source": str(file)}))


def _find(uri: str) -> Path:
    """The file of its name in HPO_DATA_DIR, or at its URI."""
    file = Path(unquote(urlsplit(uri).path))
    folder = os.environ.get(DATA_DIR)
    places = [Path(folder) / file.name, file] if folder else [file]
    for place in places:
        if place.is_file():
            return place
    raise DataError(
        "the data file is not on this machine",
        where=", ".join(map(str, places)),
        remedy=f"put it there, or name in {DATA_DIR} the folder that holds {file.name}",
    )


def _checksum(file: Path) -> str:
    try:
        with file.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"cannot read the data: {error.strerror}", where=str(file)) from error

"""Uploaded studies: kept for minutes in a private folder, read from there and from nowhere else."""

import re
import secrets
import shutil
import tempfile
import time
import tomllib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from werkzeug.datastructures import FileStorage

from hpo.data.question import DATA_SUFFIXES, Question, ask
from hpo.errors import DataError, HpoError, SpecError
from hpo.service.study_data import MOST_FRAME_BYTES, to_be_stored

MOST_BYTES = 2**24  # of a request
MOST_KEPT = 8  # uploads, of all users together
KEPT_S = 900.0
NAME = re.compile(r"[\w][\w .,()+-]{0,99}")


@dataclass(frozen=True)
class Kept:
    """A folder with one study file and its data file."""

    folder: Path
    study: str
    data: str
    until_s: float

    def ask(self) -> Question:
        """Read and check it as `hpo check` does. Raises SpecError, DataError."""
        _refuse_other_files(self.folder / self.study, self.data)
        try:
            _refuse_swelling(self.folder / self.data)
            question = ask(self.folder / self.study)
        except HpoError as error:  # of the folder nobody has heard
            where = error.where.replace(f"{self.folder}/", "")
            raise type(error)(error.problem, where=where, remedy=error.remedy) from None
        data = question.study.data.model_copy(update={"source": self.data})
        question = replace(question, study=question.study.model_copy(update={"data": data}))
        if to_be_stored(question.frame, data).parquet is None:
            raise DataError("the data are too large to be uploaded", remedy="use hpo submit")
        return question


class Uploads:
    """The uploads that wait to be submitted."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, Lock()
        self._root = tempfile.TemporaryDirectory(prefix="hpo-uploads-")
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def close(self) -> None:
        """Remove all of them."""
        self._root.cleanup()

    def keep(self, study: FileStorage | None, data: FileStorage | None) -> tuple[str, Kept]:
        """Write both files to a folder of their own; the key to find them by.

        Raises SpecError for a missing file or a name that is none.
        """
        if study is None or not study.filename or data is None or not data.filename:
            raise SpecError("choose both files: the study (.toml) and its data")
        names = (_file_name(study.filename, (".toml",)), _file_name(data.filename, DATA_SUFFIXES))
        key = secrets.token_urlsafe(24)
        folder = Path(tempfile.mkdtemp(dir=self._root.name))
        kept = Kept(folder, *names, self._clock() + KEPT_S)
        for sent, name in ((study, kept.study), (data, kept.data)):
            sent.save(folder / name)
            sent.close()
        with self._lock:
            self._kept[key] = kept
            self._remove_old()
        return key, kept

    def find(self, key: str) -> Kept:
        """An upload that was kept. Raises SpecError when it is not there any more."""
        with self._lock:
            self._remove_old()
            if key not in self._kept:
                raise SpecError("the upload is not kept any more", remedy="choose the files again")
            return self._kept[key]

    def remove(self, key: str) -> None:
        """Remove an upload, if it is there."""
        with self._lock:
            if kept := self._kept.pop(key, None):
                shutil.rmtree(kept.folder, ignore_errors=True)

    def remove_old(self) -> None:
        """Remove those that have waited for too long."""
        with self._lock:
            self._remove_old()

    def _remove_old(self) -> None:
        now_s = self._clock()
        while self._kept:
            key, oldest = next(iter(self._kept.items()))
            if oldest.until_s > now_s and len(self._kept) <= MOST_KEPT:
                return
            del self._kept[key]
            shutil.rmtree(oldest.folder, ignore_errors=True)


def _file_name(given: str, suffixes: tuple[str, ...]) -> str:
    name = given.replace("\\", "/").rpartition("/")[2]  # some browsers tell the folder
    if not NAME.fullmatch(name) or Path(name).suffix.lower() not in suffixes:
        raise SpecError(
            f"{name[:100]!r} is no name of such a file",
            remedy=f"letters, digits, spaces and .,()+- with {' or '.join(suffixes)} at the end",
        )
    return name


def _refuse_other_files(study: Path, data: str) -> None:
    """Raises SpecError where the study names another file than the one that came with it."""
    try:
        section = tomllib.loads(study.read_text(encoding="utf-8")).get("data")
    except (ValueError, RecursionError):
        return  # what is wrong with it is told when it is read as a study
    source = section.get("source") if isinstance(section, dict) else None
    if isinstance(source, str) and source != data:
        raise SpecError(
            f"data.source={source!r} must be the name of the uploaded data file, {data!r}",
            where=study.name,
        )


def _refuse_swelling(data: Path) -> None:
    """Raises DataError for a small file that would take all memory; says so before it is read."""
    from hpo.data.load import unpacked_bytes

    if (size := unpacked_bytes(data)) > MOST_FRAME_BYTES:
        raise DataError(
            f"the data take {size / 2**20:,.0f} MiB when they are unpacked, more than the"
            f" {MOST_FRAME_BYTES / 2**20:,.0f} MiB of an upload",
            where=data.name,
            remedy="use hpo submit",
        )

"""Uploaded studies: checked, and unable to reach any other file."""

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from werkzeug.datastructures import FileStorage

from hpo.errors import DataError, SpecError
from hpo.web.uploads import KEPT_S, MOST_KEPT, Uploads

ROWS = "\n".join(["t,y", *(f"{2000 + i},{10 + i % 4}.{i % 7}" for i in range(80))])


def file(name: str, text: str) -> FileStorage:
    return FileStorage(io.BytesIO(text.encode()), filename=name)


def toml(source: str) -> str:
    return f'name = "up"\n[data]\nsource = "{source}"\ntarget = "y"\n'


class Clock:
    """Shows the time that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(clock: Clock) -> Iterator[Uploads]:
    made = Uploads(clock=clock)
    yield made
    made.close()


def test_an_upload_becomes_a_question_that_knows_no_path_of_this_machine(uploads: Uploads) -> None:
    key, kept = uploads.keep(file("up.toml", toml("up.csv")), file("up.csv", ROWS))
    assert kept.folder.stat().st_mode & 0o077 == 0
    question = uploads.find(key).ask()
    assert question.study.data.source == "up.csv"
    assert len(question.frame) == 80
    uploads.remove(key)
    assert not kept.folder.exists()


@pytest.mark.parametrize(
    "source", ["/etc/passwd", "../up.csv", "./up.csv", "other.csv", "~/up.csv", "file:///up.csv"]
)
def test_no_file_but_the_uploaded_one_is_read(uploads: Uploads, source: str) -> None:
    _, kept = uploads.keep(file("up.toml", toml(source)), file("up.csv", ROWS))
    with pytest.raises(SpecError, match="must be the name of the uploaded data file"):
        kept.ask()


@pytest.mark.parametrize(
    ("study", "data"),
    [
        ("up.toml", "passwd"),
        ("up.toml", ".csv"),
        ("up.toml", "..csv\0"),
        ("up.txt", "up.csv"),
        ("up.toml", "up.toml"),
        ("up.toml", "x" * 200 + ".csv"),
    ],
)
def test_a_name_that_is_none_is_refused(uploads: Uploads, study: str, data: str) -> None:
    with pytest.raises(SpecError, match="no name of such a file"):
        uploads.keep(file(study, toml("up.csv")), file(data, ROWS))


@pytest.mark.parametrize("name", ["../../up.csv", "/tmp/up.csv", "C:\\data\\up.csv"])
def test_of_a_path_only_the_name_is_taken(uploads: Uploads, name: str) -> None:
    _, kept = uploads.keep(file("up.toml", toml("up.csv")), file(name, ROWS))
    assert {path.name for path in kept.folder.iterdir()} == {"up.toml", "up.csv"}


def test_a_missing_file_is_asked_for(uploads: Uploads) -> None:
    for study, data in ((None, file("up.csv", ROWS)), (file("up.toml", toml("up.csv")), None)):
        with pytest.raises(SpecError, match="choose both files"):
            uploads.keep(study, data)


@pytest.mark.parametrize(
    ("text", "rows", "said"),
    [
        ("not toml", ROWS, "not valid TOML"),
        (toml("up.csv").replace("target", "tarjet"), ROWS, "data.target is missing"),
        (toml("up.csv"), "t,x\n1,2\n", "'y'"),
    ],
)
def test_what_is_wrong_is_told_without_the_folder(
    uploads: Uploads, text: str, rows: str, said: str
) -> None:
    _, kept = uploads.keep(file("up.toml", text), file("up.csv", rows))
    with pytest.raises((SpecError, DataError), match=said) as refused:
        kept.ask()
    assert str(Path(kept.folder).parent) not in str(refused.value)


def test_parquet_that_swells_is_refused_before_it_is_read(
    uploads: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"t": [1.0] * 200_000, "y": [2.0] * 200_000}), sink)
    content = sink.getvalue().to_pybytes()
    assert len(content) < 2**14
    monkeypatch.setattr("hpo.web.uploads.MOST_FRAME_BYTES", 2**21)
    data = FileStorage(io.BytesIO(content), filename="up.parquet")
    _, kept = uploads.keep(file("up.toml", toml("up.parquet")), data)
    with pytest.raises(DataError, match="the data take 3 MiB when they are unpacked") as refused:
        kept.ask()
    assert refused.value.where == "up.parquet"


def test_uploads_are_few_and_do_not_last(uploads: Uploads, clock: Clock) -> None:
    keys = []
    for _ in range(MOST_KEPT + 1):
        keys.append(uploads.keep(file("up.toml", toml("up.csv")), file("up.csv", ROWS))[0])
    with pytest.raises(SpecError, match="not kept any more"):
        uploads.find(keys[0])
    assert uploads.find(keys[-1]).data == "up.csv"
    clock.now_s = KEPT_S
    uploads.remove_old()
    assert list(Path(uploads._root.name).iterdir()) == []
    with pytest.raises(SpecError, match="choose the files again"):
        uploads.find(keys[-1])

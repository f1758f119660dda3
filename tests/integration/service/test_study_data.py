"""A study's data: small ones travel with it, large ones stay where they are, with a checksum."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hpo.data.load import read_file, to_parquet
from hpo.errors import DataError
from hpo.service import study_data
from hpo.service.study_data import DATA_DIR, StudyData, load, to_be_stored
from hpo.spec.study import Data
from tests.unit.search.fake_trainer import tiny_frame

FEW = 10  # bytes: less than any data take


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A CSV in a folder of its own, with a name that a URI has to escape."""
    folder = tmp_path / "the data"
    folder.mkdir()
    tiny_frame().to_csv(folder / "sales 100%.csv", index=False)
    return folder / "sales 100%.csv"


def data_at(file: Path) -> Data:
    return Data(source=str(file), target="y", season=4)


def kept_by_uri(file: Path) -> StudyData:
    data = data_at(file)
    return to_be_stored(read_file(data), data, most_bytes=FEW)


def test_small_data_are_kept_as_they_are_and_their_file_is_not_asked_for_again(file: Path) -> None:
    data = data_at(file)
    frame = read_file(data)
    kept = to_be_stored(frame, data)
    file.unlink()
    assert (kept.uri, kept.sha256) == (None, None)
    pd.testing.assert_frame_equal(load(kept, data), frame)


def test_a_large_file_stays_where_it_is_and_is_read_from_there(file: Path) -> None:
    data = data_at(file)
    kept = kept_by_uri(file)
    assert kept.parquet is None
    assert kept.uri is not None
    assert kept.uri.startswith("file:///")
    pd.testing.assert_frame_equal(load(kept, data), read_file(data))


def test_data_of_exactly_the_limit_are_kept(file: Path) -> None:
    data = data_at(file)
    frame = read_file(data)
    size = len(to_parquet(frame))
    assert to_be_stored(frame, data, most_bytes=size).parquet is not None
    assert to_be_stored(frame, data, most_bytes=size - 1).parquet is None


def test_a_large_file_that_was_moved_is_an_error_that_names_the_place_and_the_way_out(
    file: Path,
) -> None:
    kept = kept_by_uri(file)
    file.rename(file.with_name("moved.csv"))
    with pytest.raises(DataError, match="not on this machine") as caught:
        load(kept, data_at(file))
    assert caught.value.where == str(file)
    assert DATA_DIR in caught.value.remedy
    assert file.name in caught.value.remedy


def test_a_moved_file_is_found_by_its_name_in_the_folder_of_the_environment(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, frame = kept_by_uri(file), read_file(data_at(file))
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    file.rename(mounted / file.name)
    monkeypatch.setenv(DATA_DIR, str(mounted))
    pd.testing.assert_frame_equal(load(kept, data_at(file)), frame)
    (mounted / file.name).unlink()
    with pytest.raises(DataError) as caught:
        load(kept, data_at(file))
    assert caught.value.where == f"{mounted / file.name}, {file}"


def test_a_file_that_has_changed_is_refused(file: Path) -> None:
    kept = kept_by_uri(file)
    with file.open("a") as content:
        content.write("12.5\n")
    with pytest.raises(DataError, match="data have changed") as caught:
        load(kept, data_at(file))
    assert caught.value.where == str(file)


def test_the_file_of_the_environments_folder_is_checked_too(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_by_uri(file)
    (tmp_path / file.name).write_text("y\n1\n", encoding="utf-8")
    monkeypatch.setenv(DATA_DIR, str(tmp_path))
    with pytest.raises(DataError, match="data have changed"):
        load(kept, data_at(file))


def test_a_frame_is_kept_however_large_up_to_what_a_database_bears(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = Data(source="frame", target="y", season=4)
    frame = pd.DataFrame({"y": np.random.default_rng(0).standard_normal(200)})
    assert to_be_stored(frame, data, most_bytes=FEW).parquet is not None
    monkeypatch.setattr(study_data, "MOST_FRAME_BYTES", 100)
    with pytest.raises(DataError, match="more than the") as caught:
        to_be_stored(frame, data, most_bytes=FEW)
    assert "Parquet file" in caught.value.remedy

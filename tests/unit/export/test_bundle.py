"""A model's folder is read whole or refused by the name of the file that is wrong."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save

from hpo.errors import DataError, UsageError
from hpo.export import bundle
from hpo.export.model import load
from tests.unit.export.models import case, months, written

CONTENTS = case(months()).before_the_test(with_intervals=True)
FILES = (
    "README.md",
    "evidence.json",
    "manifest.json",
    "signature.json",
    "study.json",
    "transform.safetensors",
    "weights.safetensors",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(CONTENTS, tmp_path_factory.mktemp("models") / "whole")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    return Path(shutil.copytree(whole, tmp_path / "copy"))


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def link_out(file: Path) -> None:
    file.replace(file.parents[1] / "outside")
    file.symlink_to(file.parents[1] / "outside")


def into_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


SPOILT: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "longer": lambda file: file.write_bytes(file.read_bytes() + b"\n"),
    "empty": lambda file: file.write_bytes(b""),
    "removed": Path.unlink,
    "a link": link_out,
    "a folder": into_folder,
}


def refused(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        load(folder)
    assert caught.value.exit_code == 3
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_a_model_holds_these_files_and_no_other(whole: Path) -> None:
    assert sorted(file.name for file in whole.iterdir()) == list(FILES)
    assert load(whole).signature == CONTENTS.signature


@pytest.mark.parametrize("how", SPOILT)
@pytest.mark.parametrize("name", FILES)
def test_a_spoilt_file_is_refused_by_its_name(folder: Path, name: str, how: str) -> None:
    SPOILT[how](folder / name)
    assert refused(folder).startswith(f"{name} ")


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "weights.pkl", "network.onnx"])
def test_a_file_that_does_not_belong_to_it_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("?")
    assert refused(folder).startswith(f"{name} does not belong to the model")


@settings(max_examples=150, deadline=None)
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), name=st.sampled_from(FILES))
def test_no_bit_of_any_file_can_change_unseen(whole: Path, at: float, bit: int, name: str) -> None:
    files = {file: (whole / file).read_bytes() for file in FILES}
    content = bytearray(files[name])
    content[int(at * len(content))] ^= 1 << bit
    spoilt = whole.parent / "spoilt"
    spoilt.mkdir(exist_ok=True)
    for file, old in files.items():
        (spoilt / file).write_bytes(content if file == name else old)
    assert refused(spoilt).startswith(f"{name} ")


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_whatever_stands_in_the_manifest_is_one_refusal(whole: Path, content: bytes) -> None:
    spoilt = whole.parent / "other"
    spoilt.mkdir(exist_ok=True)
    (spoilt / "manifest.json").write_bytes(content)
    assert refused(spoilt).startswith("manifest.json ")


def manifest(folder: Path, **changes: Any) -> None:
    """Write a manifest whose own checksum is right."""
    told = json.loads((folder / "manifest.json").read_text()) | changes
    del told["sha256"]
    own = bundle._sha256(bundle._canonical(told))
    (folder / "manifest.json").write_bytes(bundle._canonical(told | {"sha256": own}))


def test_another_format_is_refused_with_the_version_that_wrote_it(folder: Path) -> None:
    manifest(folder, format=2, hpo="7.0", more="?")
    assert "manifest.json is of format 2, this hpo reads 1" in refused(folder)
    assert "use the hpo that wrote it (7.0)" in refused(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "sub/weights.safetensors", ".."])
def test_a_manifest_leads_nowhere_else(folder: Path, name: str) -> None:
    files = json.loads((folder / "manifest.json").read_text())["files"]
    manifest(folder, files=files | {name: {"bytes": 1, "sha256": "0"}})
    assert refused(folder).startswith(f"manifest.json lists {name!r}, which no model has")


@pytest.mark.parametrize("files", [{}, [], {"README.md": 3}, None])
def test_a_manifest_without_its_files_is_refused(folder: Path, files: Any) -> None:
    manifest(folder, files=files)
    assert refused(folder).startswith("manifest.json ")


def test_a_file_larger_than_any_model_has_is_not_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(bundle.MOST_BYTES, "weights.safetensors", 100)
    said = refused(folder)
    assert said.startswith("weights.safetensors is larger than the 100 bytes that it may have")


def contradictions() -> dict[str, tuple[str, Callable[[bytes], bytes]]]:
    """Files that no longer belong together, in a folder whose checksums are right."""

    def values(**changes: Any) -> Callable[[bytes], bytes]:
        return lambda content: json.dumps(json.loads(content) | changes).encode()

    def arrays(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
        def changed(content: bytes) -> bytes:
            found = load_arrays(content)
            change(found)
            return save(found)

        return changed

    bias, nan = "2.head.bias", np.array([np.nan] * 3, dtype=np.float32)
    weights, state = "weights.safetensors", "transform.safetensors"
    signature = "signature.json"

    def calendar(**changes: Any) -> Callable[[bytes], bytes]:
        return values(calendar=CONTENTS.signature.calendar.model_dump() | changes)

    return {
        "more cells": (weights, lambda c: c),
        "a weight less": (weights, arrays(lambda a: a.pop(bias))),
        "a weight more": (weights, arrays(lambda a: a.update({"2.more": nan}))),
        "a strange seed": (weights, arrays(lambda a: a.update({"99.head.bias": nan}))),
        "no seed": (weights, arrays(lambda a: a.update({"head.bias": nan}))),
        "not a number": (weights, arrays(lambda a: a.update({bias: nan}))),
        "doubles": (weights, arrays(lambda a: a.update({bias: np.zeros(3)}))),
        "no safetensors": (weights, lambda _: b"\x80\x04N."),
        "a header beyond the file": (weights, lambda _: b"\xff" * 8),
        "no scale": (state, arrays(lambda a: a.pop("scale_SF"))),
        "a scale of 0": (state, arrays(lambda a: a.update({"scale_SF": np.zeros((1, 1))}))),
        "another state": (state, arrays(lambda a: a.update({"floor_S": np.ones(2)}))),
        "an unknown key": (signature, values(more=1)),
        "no columns": (signature, values(target="")),
        "a strange strategy": (signature, values(strategy="guess")),
        "another number of inputs": (signature, values(inputs=2)),
        "another number of outputs": (signature, values(horizon=4)),
        "a horizon without end": (signature, values(horizon=10**15, strategy="recursive")),
        "an unknown transform": (signature, values(transform="square")),
        "no cells": (signature, values(cells=[0])),
        "two series": (signature, values(names=["a", "b"])),
        "columns named twice": (signature, values(time="y")),
        "no step": (signature, calendar(size=0)),
        "half a month": (signature, calendar(size=0.5)),
        "a step without a size": (signature, calendar(size=None)),
        "numbers by the month": (signature, calendar(kind="int64", firsts=[3])),
        "a first time that is none": (signature, calendar(firsts=["soon"])),
        "no JSON": (signature, lambda _: b"{"),
        "deep JSON": ("study.json", lambda _: b"[" * 100_000),
        "a study without data": ("study.json", values(data=None)),
        "no answer": ("evidence.json", values(answer=None)),
        "intervals of nothing": ("evidence.json", values(intervals={})),
    }


@pytest.mark.parametrize("what", contradictions())
def test_files_that_contradict_each_other_are_refused(tmp_path: Path, what: str) -> None:
    name, change = contradictions()[what]
    files = bundle.read(written(CONTENTS, tmp_path / "right"))
    if what == "more cells":
        signature = json.loads(files["signature.json"]) | {"cells": [9]}
        files["signature.json"] = json.dumps(signature).encode()
    bundle.write(tmp_path / "wrong", files | {name: change(files[name])}, "0.1.0")
    said = refused(tmp_path / "wrong")
    assert said.startswith(f"{name} is not understood: ")
    assert len(said) < 600


def test_nothing_is_written_over(tmp_path: Path, whole: Path) -> None:
    for there in (tmp_path / "notes", tmp_path / "folder"):
        there.write_text("mine") if there.name == "notes" else there.mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for taken in ("notes", "folder", "link"):
        with pytest.raises(UsageError, match="name another folder, or remove it"):
            written(CONTENTS, tmp_path / taken)
    with pytest.raises(UsageError, match="is not empty"):
        written(CONTENTS, whole)
    assert (tmp_path / "folder" / "mine.txt").read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "link", "notes"]


def test_an_empty_folder_is_filled_and_missing_parents_are_made(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert load(written(CONTENTS, tmp_path / "empty")).signature == CONTENTS.signature
    assert load(written(CONTENTS, tmp_path / "a" / "b")).signature == CONTENTS.signature


def test_a_folder_that_cannot_be_finished_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.rename", no_room)
    with pytest.raises(UsageError, match=r"cannot write .*: No space left on device"):
        written(CONTENTS, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []

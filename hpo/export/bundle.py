"""A bundle is a folder of a few known files, each with its checksum in a manifest: written, read.

Reading runs nothing of what it reads (safetensors, JSON and text) and takes no file for granted:
what is changed, cut short, missing, too much or of another format is refused by its name.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo.errors import DataError, UsageError
from hpo.spec.study import Part

FORMAT = 1
MANIFEST = "manifest.json"
MOST_MANIFEST_BYTES = 2**16
MOST_TEXT_BYTES, MOST_ARRAYS_BYTES = 2**26, 2**33
README, STUDY, SIGNATURE, EVIDENCE = "README.md", "study.json", "signature.json", "evidence.json"
WEIGHTS, TRANSFORM, ONNX = "weights.safetensors", "transform.safetensors", "network.onnx"
MOST_BYTES = {
    README: MOST_TEXT_BYTES,
    STUDY: MOST_TEXT_BYTES,
    SIGNATURE: MOST_TEXT_BYTES,
    EVIDENCE: MOST_TEXT_BYTES,
    WEIGHTS: MOST_ARRAYS_BYTES,
    TRANSFORM: MOST_ARRAYS_BYTES,
    ONNX: MOST_ARRAYS_BYTES,
}
OPTIONAL = {ONNX}
AGAIN = "export the study again, or copy the whole folder again"


class Listed(Part):
    """A file as the manifest has it."""

    bytes: int
    sha256: str


class Manifest(Part):
    """The files of a bundle, of the format and the version of hpo that wrote them."""

    format: int
    hpo: str
    files: dict[str, Listed]
    sha256: str


def refuse_taken(folder: Path) -> None:
    """Raise UsageError where something is in the way: a bundle is never written over anything."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        problem = "is there already, and is no folder"
    elif folder.is_dir() and any(folder.iterdir()):
        problem = "is not empty"
    else:
        return
    raise UsageError(f"{str(folder)!r} {problem}", remedy="name another folder, or remove it")


def write(folder: Path, files: Mapping[str, bytes], made_by: str) -> None:
    """Write all files and their manifest to a new folder, all at once: it is whole or not there.

    Raises UsageError where something is in the way or the folder cannot be written.
    """
    refuse_taken(folder)
    unfinished = folder.parent / f".{folder.name}.{secrets.token_hex(4)}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished.mkdir()
        for name, content in {**files, MANIFEST: manifest_of(files, made_by)}.items():
            (unfinished / name).write_bytes(content)
        os.rename(unfinished, folder)
    except OSError as error:
        raise UsageError(f"cannot write {str(folder)!r}: {error.strerror}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def manifest_of(files: Mapping[str, bytes], made_by: str) -> bytes:
    """The manifest: format, size and SHA-256 of every file, and its own."""
    told: dict[str, Any] = {
        "format": FORMAT,
        "hpo": made_by,
        "files": {
            name: {"bytes": len(content), "sha256": _sha256(content)}
            for name, content in sorted(files.items())
        },
    }
    return _canonical(told | {"sha256": _sha256(_canonical(told))})


def read(folder: Path) -> dict[str, bytes]:
    """Every file of a bundle by its name, each as the manifest has it. Raises DataError."""
    if not folder.is_dir():
        raise DataError(
            "there is no such folder", where=str(folder), remedy="name a model's folder"
        )
    listed = _read_manifest(folder / MANIFEST)
    try:
        there = {entry.name for entry in folder.iterdir()}
    except OSError as error:
        raise DataError(f"cannot read the folder: {error.strerror}", where=str(folder)) from error
    for name in sorted(there - {MANIFEST, *listed}):
        raise refusal(folder / name, "does not belong to the model", remedy="move it elsewhere")
    return {name: _read_listed(folder / name, of) for name, of in listed.items()}


def _read_manifest(path: Path) -> dict[str, Listed]:
    content = _read_file(path, MOST_MANIFEST_BYTES)
    try:
        told = json.loads(content)
        version, made_by = told["format"], str(told["hpo"])[:20]
        if version == FORMAT:
            manifest = Manifest.model_validate(told)
            del told["sha256"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise refusal(path, "is no manifest of a model") from None
    if version != FORMAT:
        remedy = f"use the hpo that wrote it ({made_by})"
        said = f"is of format {str(version)[:20]}, this hpo reads {FORMAT}"
        raise refusal(path, said, remedy=remedy)
    if content != _canonical(told | {"sha256": _sha256(_canonical(told))}):
        raise refusal(path, "has been changed")
    for name in sorted(manifest.files.keys() - MOST_BYTES.keys()):
        raise refusal(path, f"lists {name[:60]!r}, which no model has")
    for name in sorted(MOST_BYTES.keys() - OPTIONAL - manifest.files.keys()):
        raise refusal(path, f"does not list {name}")
    return manifest.files


def _read_listed(path: Path, listed: Listed) -> bytes:
    content = _read_file(path, MOST_BYTES[path.name])
    if len(content) != listed.bytes:
        raise refusal(path, f"has {len(content):,} bytes where it had {listed.bytes:,}")
    if _sha256(content) != listed.sha256:
        raise refusal(path, "has been changed: its SHA-256 is another")
    return content


def _read_file(path: Path, most_bytes: int) -> bytes:
    if path.is_symlink():
        raise refusal(path, "is a link", remedy="a model's files stand in its folder")
    try:
        if not path.is_file():
            raise refusal(path, "is missing")
        with path.open("rb") as file:
            content = file.read(min(path.stat().st_size, most_bytes) + 1)
    except OSError as error:
        raise refusal(path, f"cannot be read: {error.strerror}") from error
    if len(content) > most_bytes:
        raise refusal(path, f"is larger than the {most_bytes:,} bytes that it may have")
    return content


def refusal(path: Path, problem: str, *, remedy: str = AGAIN) -> DataError:
    """Why a bundle cannot be used, by the name of its file."""
    return DataError(f"{path.name} {problem}", where=str(path.parent), remedy=remedy)


def _canonical(value: Any) -> bytes:
    return f"{json.dumps(value, indent=2, sort_keys=True)}\n".encode()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

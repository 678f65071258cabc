"""Version folders on disk: `manifest.json` and one `.npy` file for each array, never a pickle.

A version is written aside, synced and renamed, so that it is there completely or not at all. Arrays are
memory-mapped on reading, so that all workers share one copy of the pages.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from app.core.clock import now_ms, rfc3339
from app.core.files import sync

FORMAT_VERSION = 1
_MANIFEST = "manifest.json"
_TEMPORARY = ".tmp-"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class ArtifactError(Exception):
    """A stored version cannot be written or used; the message says which and why, in one line."""


class InvalidVersionName(ArtifactError):
    """A version's name must be letters, digits, `.`, `_` and `-`, and start with a letter or digit."""


class VersionExists(ArtifactError):
    """There is a version of this name already; versions are never overwritten."""


class VersionMissing(ArtifactError):
    """There is no version of this name."""


class VersionDamaged(ArtifactError):
    """A file of the version is missing, truncated or altered; the message names it."""


class NewerFormat(ArtifactError):
    """The version was written by a later release."""


@dataclass(frozen=True)
class ArrayEntry:
    """What the manifest says of one array."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    """Size of the file."""
    sha256: str
    """Of the file."""


@dataclass(frozen=True)
class Manifest:
    """What a version says of itself."""

    name: str
    created_at: str
    """RFC 3339, UTC."""
    content: Any
    """Whatever the writer gave, as JSON."""
    arrays: dict[str, ArrayEntry]


def write_version(root: Path, name: str, content: Any, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Store a version; its folder. Raises `VersionExists`, `InvalidVersionName`, and `TypeError` or
    `ValueError` for arrays of objects and content that is not JSON (NaN is not)."""
    target = _folder(root, name)
    if target.exists():
        raise VersionExists(f"version {name} exists already")
    for key, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise TypeError(f"array {key} holds Python objects, which are not stored")
    json.dumps(content, allow_nan=False)
    root.mkdir(parents=True, exist_ok=True)
    aside = root / f"{_TEMPORARY}{name}-{secrets.token_hex(8)}"
    aside.mkdir()
    try:
        entries = {}
        for number, (key, array) in enumerate(arrays.items()):
            # Numbered, so that keys which differ only in signs or case cannot meet in one file.
            file = f"{number:03d}-{re.sub(r'[^A-Za-z0-9_]+', '-', key)[:80]}.npy"
            entries[key] = _write_array(aside / file, np.asarray(array, order="C"))
        body = {
            "format_version": FORMAT_VERSION,
            "name": name,
            "created_at": rfc3339(now_ms()),
            "content": content,
            "arrays": {key: asdict(entry) for key, entry in entries.items()},
        }
        text = json.dumps({**body, "manifest_sha256": _digest(body)}, indent=1, allow_nan=False)
        with (aside / _MANIFEST).open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        sync(aside)
        try:
            aside.rename(target)
        except OSError as error:
            if target.exists():
                raise VersionExists(f"version {name} exists already") from error
            raise
        sync(root)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return target


def read_manifest(root: Path, name: str) -> Manifest:
    """What the version says of itself. Raises `VersionMissing`, `VersionDamaged` or `NewerFormat`."""
    folder = _folder(root, name)
    if not folder.is_dir():
        raise VersionMissing(f"there is no version {name}")
    damaged = VersionDamaged(f"version {name}: {_MANIFEST} is damaged")
    try:
        body = json.loads((folder / _MANIFEST).read_bytes())
    except FileNotFoundError:
        raise VersionDamaged(f"version {name}: {_MANIFEST} is missing") from None
    except ValueError:
        raise damaged from None
    if not isinstance(body, dict) or not isinstance(body.get("format_version"), int):
        raise damaged
    # Before the checksum: a later format may take it in another way.
    if body["format_version"] > FORMAT_VERSION:
        raise NewerFormat(
            f"version {name} has format {body['format_version']}, this release reads up to {FORMAT_VERSION}"
        )
    if body.pop("manifest_sha256", None) != _digest(body) or body["name"] != name:
        raise damaged
    arrays = {key: ArrayEntry(**{**e, "shape": tuple(e["shape"])}) for key, e in body["arrays"].items()}
    return Manifest(body["name"], body["created_at"], body["content"], arrays)


def read_version(root: Path, name: str, verify: bool) -> tuple[Any, dict[str, NDArray[Any]]]:
    """Content and read-only, memory-mapped arrays. `verify` compares checksums, which reads every byte;
    sizes, dtypes and shapes are always compared. Raises as `read_manifest`."""
    manifest = read_manifest(root, name)
    folder = _folder(root, name)
    arrays = {key: _read_array(folder, name, key, entry, verify) for key, entry in manifest.arrays.items()}
    return manifest.content, arrays


def delete_version(root: Path, name: str) -> None:
    """Remove a version; readers that hold its arrays keep them. Raises `VersionMissing`."""
    aside = root / f"{_TEMPORARY}{name}-{secrets.token_hex(8)}"
    try:
        # Renamed first, so that no reader finds half a version.
        _folder(root, name).rename(aside)
    except FileNotFoundError:
        raise VersionMissing(f"there is no version {name}") from None
    shutil.rmtree(aside)


def wipe_version(root: Path, name: str) -> None:
    """Leave nothing of a version: neither its folder, if it is there, nor what a broken-off removal left."""
    with suppress(VersionMissing):
        delete_version(root, name)
    for path in root.glob(f"{_TEMPORARY}{name}-{'?' * 16}"):
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def list_versions(root: Path) -> list[str]:
    """Names of the stored versions, in order."""
    if not root.is_dir():
        return []
    return sorted(
        path.name for path in root.iterdir() if _NAME.fullmatch(path.name) and (path / _MANIFEST).is_file()
    )


def is_stored(root: Path, name: str) -> bool:
    """Whether there is a version of this name, whatever its files are like."""
    return (_folder(root, name) / _MANIFEST).is_file()


def clean_temporary(root: Path) -> int:
    """Remove what broken-off writers left; how many folders. Only while nobody writes."""
    left = list(root.glob(f"{_TEMPORARY}*")) if root.is_dir() else []
    for path in left:
        shutil.rmtree(path)
    return len(left)


def _folder(root: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise InvalidVersionName(f"{name!r} is not a version name")
    return root / name


def _digest(body: dict[str, Any]) -> str:
    """Checksum of JSON, whatever its spacing and order."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _write_array(path: Path, array: NDArray[Any]) -> ArrayEntry:
    with path.open("wb") as stream:
        np.save(_Plain(stream), array, allow_pickle=False)
        stream.flush()
        os.fsync(stream.fileno())
    return ArrayEntry(path.name, array.dtype.str, array.shape, path.stat().st_size, _file_sha256(path))


class _Plain:
    """A file that numpy writes to piece by piece: its own way says of a full disk only "0 written"."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> int:
        return self._stream.write(data)


def _file_sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_array(folder: Path, name: str, key: str, entry: ArrayEntry, verify: bool) -> NDArray[Any]:
    path = folder / entry.file
    where = f"version {name}, array {key}"
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise VersionDamaged(f"{where}: file {entry.file} is missing") from None
    if size != entry.bytes:
        raise VersionDamaged(f"{where}: {size} bytes instead of {entry.bytes}")
    if verify and _file_sha256(path) != entry.sha256:
        raise VersionDamaged(f"{where}: the checksum does not match")
    # An empty array has no bytes to map.
    mode: Literal["r"] | None = None if 0 in entry.shape else "r"
    try:
        # A plain view of the map: numpy's own class for maps takes longer at each slice.
        array: NDArray[Any] = np.asarray(np.load(path, mmap_mode=mode, allow_pickle=False))
    except (ValueError, EOFError, OSError, SyntaxError):
        raise VersionDamaged(f"{where}: not a readable array file") from None
    if array.dtype.str != entry.dtype or array.shape != entry.shape:
        raise VersionDamaged(
            f"{where}: {array.dtype.str} {array.shape} instead of {entry.dtype} {entry.shape}"
        )
    array.flags.writeable = False
    return array

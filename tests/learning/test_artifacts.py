import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from app.learning import artifacts
from app.learning.artifacts import (
    ArtifactError,
    InvalidVersionName,
    NewerFormat,
    VersionDamaged,
    VersionExists,
    VersionMissing,
    clean_temporary,
    delete_version,
    list_versions,
    read_manifest,
    read_version,
    write_version,
)

ARRAYS = {
    "item_neighbours/indices": np.arange(1000, dtype=np.int32).reshape(10, 100),
    "item-neighbours-indices": np.array([1.5], dtype=np.float32),
    "../../names": np.array(["shoe", "茶"]),
    "empty": np.zeros((0, 7), dtype=np.float64),
    "scalar": np.array(3, dtype=np.int64),
    "flags": np.array([True, False]),
}
CONTENT = {"family": "ease", "metrics": {"ndcg": 0.3}, "none": None}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_version(tmp_path / "models", "v1", CONTENT, ARRAYS)
    return tmp_path / "models"


def _file(root: Path, key: str) -> Path:
    return root / "v1" / read_manifest(root, "v1").arrays[key].file


def test_reads_what_was_written(root: Path) -> None:
    content, arrays = read_version(root, "v1", verify=True)
    assert content == CONTENT
    assert list(arrays) == list(ARRAYS)
    for key, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[key], array)
        assert arrays[key].dtype == array.dtype
        assert arrays[key].shape == array.shape
        assert not arrays[key].flags.writeable
    assert isinstance(arrays["flags"].base, np.memmap)
    assert read_manifest(root, "v1").created_at.endswith("Z")
    assert sorted(path.name for path in root.iterdir()) == ["v1"]


@given(st.dictionaries(st.text(max_size=200), hnp.arrays(hnp.scalar_dtypes(), hnp.array_shapes(min_side=0))))
def test_any_key_and_any_array(tmp_path_factory: pytest.TempPathFactory, arrays: dict[str, Any]) -> None:
    root = tmp_path_factory.mktemp("models")
    write_version(root, "v", None, arrays)
    read = read_version(root, "v", verify=True)[1]
    assert set(read) == set(arrays)
    for key, array in arrays.items():
        assert read[key].dtype == array.dtype
        np.testing.assert_array_equal(read[key], array)


def test_objects_and_what_is_not_json_are_refused(root: Path) -> None:
    with pytest.raises(TypeError, match="array names holds Python objects"):
        write_version(root, "v2", {}, {"names": np.array(["a", None])})
    with pytest.raises(ValueError, match="JSON"):
        write_version(root, "v2", {"ndcg": float("nan")}, {})
    assert list_versions(root) == ["v1"]


def test_a_version_is_never_overwritten(root: Path) -> None:
    with pytest.raises(VersionExists, match="v1 exists already"):
        write_version(root, "v1", {}, {})
    assert read_version(root, "v1", verify=True)[0] == CONTENT


def test_broken_off_writing_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_off(folder: Path) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(artifacts, "sync", break_off)
    with pytest.raises(OSError, match="disk full"):
        write_version(root, "v2", {}, ARRAYS)
    assert [path.name for path in root.iterdir()] == ["v1"]


def test_a_killed_writers_folder_is_no_version_and_is_cleaned(root: Path) -> None:
    left = root / ".tmp-v2-abc"
    left.mkdir()
    (left / "manifest.json").write_text("{}")
    assert list_versions(root) == ["v1"]
    assert clean_temporary(root) == 1
    assert clean_temporary(root) == 0
    assert read_version(root, "v1", verify=True)[0] == CONTENT


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("damage", "verify", "message"),
    [
        (_truncate, False, "4124 bytes instead of 4128"),
        (Path.unlink, False, "is missing"),
        (_flip, True, "checksum does not match"),
    ],
)
def test_a_damaged_array_is_named(
    root: Path, damage: Callable[[Path], None], verify: bool, message: str
) -> None:
    damage(_file(root, "item_neighbours/indices"))
    with pytest.raises(VersionDamaged, match=message) as caught:
        read_version(root, "v1", verify)
    assert "array item_neighbours/indices" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_array_of_the_same_size_is_seen_without_checksums(root: Path) -> None:
    path = _file(root, "item_neighbours/indices")
    np.save(path, np.arange(1000, dtype=np.int32).reshape(100, 10))
    with pytest.raises(VersionDamaged, match=r"\(100, 10\) instead of .* \(10, 100\)"):
        read_version(root, "v1", verify=False)


def _edit(root: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = root / "v1" / "manifest.json"
    body = json.loads(path.read_text())
    change(body)
    path.write_text(json.dumps(body))


class _Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.marker,)


def test_a_pickle_is_not_opened(root: Path, tmp_path: Path) -> None:
    # The empty array's file is loaded, not mapped; the manifest is forged to fit.
    path, marker = _file(root, "empty"), tmp_path / "unpickled"
    np.save(path, np.array([_Trap(marker)], dtype=object), allow_pickle=True)

    def forge(body: dict[str, Any]) -> None:
        body["arrays"]["empty"]["bytes"] = path.stat().st_size
        del body["manifest_sha256"]
        body["manifest_sha256"] = artifacts._digest(body)

    _edit(root, forge)
    with pytest.raises(VersionDamaged, match="array empty"):
        read_version(root, "v1", verify=False)
    assert not marker.exists()


def test_a_newer_format_says_so(root: Path) -> None:
    _edit(root, lambda body: body.update(format_version=2, arrays="whatever"))
    with pytest.raises(NewerFormat, match="v1 has format 2, this release reads up to 1"):
        read_version(root, "v1", verify=False)


def _no_json(root: Path) -> None:
    _truncate(root / "v1" / "manifest.json")


@pytest.mark.parametrize(
    "damage",
    [
        _no_json,
        lambda root: (root / "v1" / "manifest.json").write_text("[]"),
        lambda root: (root / "v1" / "manifest.json").write_bytes(b"\xff\xfe"),
        lambda root: _edit(root, lambda body: body["content"].update(family="als")),
        lambda root: _edit(root, lambda body: body["arrays"]["flags"].update(file="../x")),
        lambda root: _edit(root, lambda body: body.pop("arrays")),
        lambda root: (root / "v1" / "manifest.json").unlink(),
    ],
)
def test_a_damaged_manifest(root: Path, damage: Callable[[Path], None]) -> None:
    damage(root)
    with pytest.raises(VersionDamaged, match=r"manifest\.json is (damaged|missing)"):
        read_manifest(root, "v1")


def test_missing_and_impossible_names(root: Path) -> None:
    for use in (read_manifest, delete_version):
        with pytest.raises(VersionMissing, match="no version v9"):
            use(root, "v9")
    for name in ("../v1", "", ".tmp-x", "a/b", "ä", "a" * 200, "v1\n"):
        with pytest.raises(InvalidVersionName):
            write_version(root, name, {}, {})
    assert issubclass(VersionMissing, ArtifactError)


def test_deletes_while_a_reader_holds_on(root: Path) -> None:
    write_version(root, "v0", {}, {})
    arrays = read_version(root, "v1", verify=False)[1]
    assert list_versions(root) == ["v0", "v1"]
    delete_version(root, "v1")
    assert list_versions(root) == ["v0"]
    np.testing.assert_array_equal(arrays["item_neighbours/indices"], ARRAYS["item_neighbours/indices"])
    assert [path.name for path in root.iterdir()] == ["v0"]


def test_no_root_yet(tmp_path: Path) -> None:
    assert list_versions(tmp_path / "models") == []
    assert clean_temporary(tmp_path / "models") == 0

"""Files and folders appear whole or not at all; readers look at the size first."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from asterias import files
from asterias.errors import UserError


def test_a_file_is_replaced_whole_and_readable_by_everyone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    files.write_text(path, "old")
    files.write_text(path, "nö")
    assert path.read_bytes() == "nö".encode()
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    files.write_bytes(path, b"old")

    def fail(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        files.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_numbers_that_json_does_not_know_are_not_written(tmp_path: Path, number: float) -> None:
    with pytest.raises(ValueError, match=r"a\.json: .*nothing was written"):
        files.write_json(tmp_path / "a.json", {"x": [number]})
    assert list(tmp_path.iterdir()) == []


def test_json_comes_back(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"x": [1, 2.5, "ö"]}, indent=1)
    assert files.read_json(tmp_path / "a.json") == {"x": [1, 2.5, "ö"]}


def test_a_folder_gets_its_name_when_all_went_well(tmp_path: Path) -> None:
    with files.write_folder(tmp_path / "deep" / "set") as folder:
        (folder / "a").write_text("1")
        assert not (tmp_path / "deep" / "set").exists()
    assert (tmp_path / "deep" / "set" / "a").read_text() == "1"
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["set"]


def test_a_folder_that_could_not_be_finished_is_gone(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), files.write_folder(tmp_path / "set") as folder:
        (folder / "a").write_text("1")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already"), files.write_folder(tmp_path):
        pass


def test_a_file_larger_than_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # a hole of 1 TiB
    with pytest.raises(UserError, match=r"large has 1,099,511,627,776 bytes; at most 1,000 "):
        files.read_bytes(path, 1000)


def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, words in (("pipe", "is no file"), ("", "is no file"), ("x", "no such file")):
        with pytest.raises(UserError, match=words):
            files.read_bytes(tmp_path / name, 10)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "byte 0 is not UTF-8"),
        (b"{", "Expecting property"),
        (b"[" * 99999, "too deep"),
    ],
)
def test_a_file_that_holds_no_json_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.json is no .*{words}"):
        files.read_json(tmp_path / "a.json")


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(UserError, match="no name that a file can have"):
        files.read_bytes("a\x00b.map", 100)

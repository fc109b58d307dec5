"""Nobody reads half of a file."""

import threading
from pathlib import Path

import pytest

from bakeoff.runs import write_atomically


def test_a_reader_never_sees_half_a_file(tmp_path):
    path, stop, seen = tmp_path / "x", threading.Event(), set()
    write_atomically(path, "a" * 100_000)

    def read():
        while not stop.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for letter in "bcdefghij":
        write_atomically(path, letter * 100_000)
    stop.set()
    reader.join()
    assert all(len(text) == 100_000 and len(set(text)) == 1 for text in seen)
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    write_atomically(tmp_path / "x", "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(tmp_path / "x", "\ud800")
    assert (tmp_path / "x").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_a_function_writes_into_the_file(tmp_path):
    write_atomically(tmp_path / "x", lambda file: file.write(b"bytes"))
    assert (tmp_path / "x").read_bytes() == b"bytes"
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o644


def test_what_is_raised_before_the_rename_leaves_the_old_file(tmp_path):
    write_atomically(tmp_path / "x", "old")

    def check(temporary):
        assert Path(temporary).read_text() == "new"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "x", "new", before_rename=check)
    assert (tmp_path / "x").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]

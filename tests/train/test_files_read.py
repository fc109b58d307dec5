"""Which files are seen to be read."""

import os
import sys
from pathlib import Path

from bakeoff.train.files_read import files_read, first_changed, not_beneath


def test_files_that_are_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "b.txt", "c.txt", "d.txt", "code.py", ".cache"):
        Path(name).write_text("1")
    with files_read() as read:
        Path("a.txt").read_text()
        os.close(os.open("b.txt", os.O_RDONLY))
        Path("c.txt").write_text(Path("c.txt").read_text())
        with open("d.txt", "a"):
            pass
        Path("code.py").read_text()
        Path(".cache").read_text()
        Path(os.__file__).read_bytes()
        with open(Path(sys.prefix) / "pyvenv.cfg"):
            pass
        with files_read() as inner:
            Path("b.txt").read_text()
    Path("d.txt").read_text()
    assert list(read) == [str(tmp_path / "a.txt"), str(tmp_path / "b.txt")]
    assert list(inner) == [str(tmp_path / "b.txt")]


def test_not_beneath(tmp_path):
    inside, outside = str(tmp_path / "folder" / "a"), str(tmp_path / "folder2" / "a")
    assert not_beneath([inside, outside], [str(tmp_path / "folder")]) == [outside]
    assert not_beneath([inside], [inside]) == []


def test_a_change_since_a_file_was_read_is_seen(tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("1")
    with files_read() as read:
        (tmp_path / "a.txt").read_text()
        (tmp_path / "b.txt").read_text()
    assert first_changed(read) is None
    (tmp_path / "b.txt").write_text("12")
    assert first_changed(read) == str(tmp_path / "b.txt")

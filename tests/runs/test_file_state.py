"""Whether files are as they were."""

import os

import pytest

from bakeoff.runs import file_state
from bakeoff.runs.file_state import Limit, content_of, state_of


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "raw").mkdir(parents=True)
    (folder / "raw" / "x.bin").write_bytes(b"12")
    return folder


@pytest.fixture(params=["small", "large"])
def size(request, monkeypatch):
    """Large files are known by what the file system says of them, once they have settled."""
    if request.param == "large":
        monkeypatch.setattr(file_state, "MAX_BYTES_READ", 1)
        monkeypatch.setattr(file_state, "SETTLED_SECONDS", -1.0)


CHANGES = {
    "content": lambda raw: (raw / "x.bin").write_bytes(b"13"),
    "more": lambda raw: (raw / "y.bin").write_bytes(b""),
    "removed": lambda raw: (raw / "x.bin").unlink(),
    "renamed": lambda raw: (raw / "x.bin").rename(raw / "z.bin"),
}


@pytest.mark.usefixtures("size")
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(data, change):
    state, content = state_of(str(data)), content_of([str(data)])
    assert state_of(str(data)) == state
    assert content_of([str(data)]) == content
    CHANGES[change](data / "raw")
    assert state_of(str(data)) != state
    assert content_of([str(data)]) != content


@pytest.mark.usefixtures("size")
def test_times_that_are_set_back_hide_nothing(data):
    file = data / "raw" / "x.bin"
    os.utime(file, (1, 1))
    state, content = state_of(str(data)), content_of([str(file)])
    file.write_bytes(b"13")
    os.utime(file, (1, 1))
    assert state_of(str(data)) != state
    assert content_of([str(file)]) != content
    other = data / "other"
    other.write_bytes(b"12")
    os.utime(other, (1, 1))
    state = state_of(str(file))
    os.replace(other, file)
    assert state_of(str(file)) != state


def test_a_large_file_that_was_changed_a_moment_ago_is_not_known(data, monkeypatch):
    monkeypatch.setattr(file_state, "MAX_BYTES_READ", 1)
    assert state_of(str(data)) is None
    content = content_of([str(data)])
    (data / "raw" / "x.bin").write_bytes(b"13")
    assert content_of([str(data)]) != content  # nothing was kept of it


def test_content_does_not_depend_on_the_place(data):
    before = content_of([str(data)])
    moved = data.with_name("moved")
    data.rename(moved)
    assert content_of([str(moved)]) == before
    os.utime(moved / "raw" / "x.bin", (1, 1))
    assert content_of([str(moved)]) == before


def test_content_that_is_too_much_is_names_and_sizes(data):
    for limit in (Limit(files=0), Limit(size=1)):
        before, is_read = content_of([str(data)], limit)
        assert not is_read
        (data / "raw" / "x.bin").write_bytes(b"13")
        assert content_of([str(data)], limit) == (before, False)
        (data / "raw" / "x.bin").write_bytes(b"123")
        assert content_of([str(data)], limit) != (before, False)
        (data / "raw" / "x.bin").write_bytes(b"12")


def test_too_many_files(data, monkeypatch):
    monkeypatch.setattr(file_state, "MAX_FILES", 1)
    assert state_of(str(data)) is not None
    (data / "y.bin").write_bytes(b"")
    assert state_of(str(data)) is None


def test_links_pipes_and_circles(data):
    (data / "raw" / "above").symlink_to(data)
    (data / "raw" / "broken").symlink_to(data / "nowhere")
    os.mkfifo(data / "pipe")
    assert state_of(str(data)) == state_of(str(data))
    assert content_of([str(data)])[1]

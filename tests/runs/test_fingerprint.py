"""A repeated command is recognized by its overrides, its configuration files, and the files beside them."""

import os

import pytest
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl

from bakeoff.runs import file_state
from bakeoff.runs.file_state import state_of
from bakeoff.runs.fingerprint import command_fingerprint, configuration_hash, file_fingerprints, is_unchanged
from bakeoff.runs.modules import own_modules


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def search_path(folder):
    path = ConfigSearchPathImpl()
    path.append("user", f"file://{folder}")
    return path


@pytest.mark.parametrize(
    "value", ["${oc.env:RATE}", "${oc.decode:${oc.env: 'RATE'}}", "${oc.env:OTHER,${oc.env:RATE}}"]
)
def test_what_a_file_reads_from_the_environment(monkeypatch, tmp_path, value):
    write(tmp_path / "conf" / "optimizer" / "mine.yaml", f"defaults:\n  - sgd\nlr: {value}\n")
    path = search_path(tmp_path / "conf")
    monkeypatch.setenv("RATE", "0.5")
    before = configuration_hash(path)
    assert configuration_hash(path) == before
    monkeypatch.setenv("RATE", "0.25")
    assert configuration_hash(path) != before


@pytest.mark.parametrize("value", ["${oc.env:RATE}", "${oc.env:RATE,0.1}", "'${oc.decode:${oc.env: RATE}}'"])
def test_what_a_command_reads_from_the_environment(monkeypatch, value):
    monkeypatch.setenv("RATE", "0.5")
    before = command_fingerprint(["optimizer=sgd", f"optimizer.lr={value}"], "")
    assert command_fingerprint(["optimizer=sgd", f"optimizer.lr={value}"], "") == before
    monkeypatch.setenv("RATE", "0.25")
    assert command_fingerprint(["optimizer=sgd", f"optimizer.lr={value}"], "") != before


def test_every_configuration_file_counts_and_no_other(tmp_path, monkeypatch):
    conf, added = tmp_path / "conf", tmp_path / "added"
    write(conf / "optimizer" / "sgd.yaml", "lr: 0.1\n")
    write(added / "loss" / "mse.yml", "a: 1\n")
    path = search_path(conf)
    found = [configuration_hash(path), configuration_hash(path, [f"file://{added}"])]
    write(conf / "README.md", "no configuration\n")
    assert [configuration_hash(path), configuration_hash(path, [f"file://{added}"])] == found
    write(conf / "optimizer" / "sgd.yaml", "lr: 0.2\n")
    found.append(configuration_hash(path))
    write(added / "loss" / "mse.yml", "a: 2\n")
    found.append(configuration_hash(path, [f"file://{added}"]))
    (conf / "optimizer" / "sgd.yaml").rename(conf / "optimizer" / "other.yaml")
    found.append(configuration_hash(path))
    monkeypatch.chdir(tmp_path)  # relative paths in a command mean something else here
    found.append(configuration_hash(path))
    assert len(set(found)) == len(found)


def test_execution_keys_and_places_are_no_part_of_a_command():
    command = ["optimizer=sgd", "seed=1"]
    more = ["workers=2", "retry=failed", "~tuning_note", "root=elsewhere", "sweep=other", "hydra.verbose=true"]
    assert command_fingerprint([*command, *more], "c") == command_fingerprint(command, "c")
    others = [["optimizer=sgd", "seed=2"], ["seed=1", "optimizer=sgd"], [*command, "+workers_of_mine=1"]]
    found = {command_fingerprint(other, "c") for other in [command, *others]} | {command_fingerprint(command, "d")}
    assert len(found) == 5


@pytest.fixture
def known(tmp_path, monkeypatch):
    """What is kept of a run whose class is `mine_known.Net`, and whose data is in `data`."""
    write(tmp_path / "mine_known.py", "import helper_known\n")
    write(tmp_path / "helper_known.py", "SCALE = 1\n")
    write(tmp_path / "data" / "raw" / "x.bin", "12")
    monkeypatch.syspath_prepend(tmp_path)
    names, folder = ["mine_known.Net"], str(tmp_path / "data")
    return file_fingerprints(names, own_modules(names), {folder: state_of(folder)})


def test_what_is_kept(known, tmp_path):
    assert set(known) == {"modules mine_known.Net", f"data {tmp_path / 'data'}"}
    assert is_unchanged(known, {})
    (tmp_path / "helper_known.py").write_text("SCALE = 1  # as it was\n")
    os.utime(tmp_path / "data" / "raw" / "x.bin", (1, 1))  # the same content
    assert is_unchanged(known, {})
    assert file_fingerprints([], {}, {}) == {}


@pytest.mark.parametrize("change", ["module", "imported module", "module removed", "data", "more data", "data removed"])
def test_what_has_changed(known, tmp_path, change):
    raw = tmp_path / "data" / "raw"
    {
        "module": lambda: (tmp_path / "mine_known.py").write_text("import helper_known as h\n"),
        "imported module": lambda: (tmp_path / "helper_known.py").write_text("SCALE = 2\n"),
        "module removed": (tmp_path / "helper_known.py").unlink,
        "data": lambda: (raw / "x.bin").write_text("13"),
        "more data": lambda: (raw / "y.bin").write_text(""),
        "data removed": (raw / "x.bin").unlink,
    }[change]()
    assert not is_unchanged(known, {})


def test_each_file_is_read_once_for_all_runs(known, tmp_path):
    cache = {}
    assert is_unchanged(known, cache)
    (tmp_path / "mine_known.py").write_text("two = 2\n")
    assert is_unchanged(known, cache)


def test_what_cannot_be_known(known, monkeypatch, tmp_path):
    monkeypatch.setattr(file_state, "MAX_FILES", 1)
    write(tmp_path / "data" / "raw" / "y.bin", "")
    assert not is_unchanged(known, {})
    assert not is_unchanged({"data x": None}, {"data x": None})
    assert not is_unchanged({"source mine.py": "of an earlier version"}, {})

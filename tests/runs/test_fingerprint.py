"""A repeated command is recognized by its overrides, its configuration files, and the files beside them."""

import os

import pytest
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl

from bakeoff.runs import fingerprint
from bakeoff.runs.fingerprint import command_fingerprint, configuration_hash, file_fingerprints, is_unchanged


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


def known_files(tmp_path, *, has_digest=True, target="bakeoff.data.npz"):
    (tmp_path / "mine.py").write_text("one\n")
    write(tmp_path / "data" / "raw" / "x.bin", "12")
    data = {"_target_": target, "path": str(tmp_path / "data"), "val_size": 10, "more": {"none": "nowhere"}}
    return file_fingerprints(data, [str(tmp_path / "mine.py")], has_digest)


def test_sources_by_content_and_data_by_size_and_time(tmp_path):
    found = known_files(tmp_path)
    assert set(found) == {f"source {tmp_path / 'mine.py'}", f"data {tmp_path / 'data'}"}
    assert is_unchanged(found, {})
    os.utime(tmp_path / "mine.py", (1, 1))  # the same content
    assert is_unchanged(found, {})
    os.utime(tmp_path / "data" / "raw" / "x.bin", (1, 1))  # perhaps the same: whoever composes it finds out
    assert not is_unchanged(found, {})


@pytest.mark.parametrize("change", ["source", "source removed", "data", "more data", "data removed"])
def test_what_has_changed(tmp_path, change):
    found = known_files(tmp_path)
    raw = tmp_path / "data" / "raw"
    {
        "source": lambda: (tmp_path / "mine.py").write_text("two\n"),
        "source removed": (tmp_path / "mine.py").unlink,
        "data": lambda: (raw / "x.bin").write_text("123"),
        "more data": lambda: (raw / "y.bin").write_text(""),
        "data removed": (raw / "x.bin").unlink,
    }[change]()
    assert not is_unchanged(found, {})


def test_each_file_is_read_once_for_all_runs(tmp_path):
    found, known = known_files(tmp_path), {}
    assert is_unchanged(found, known)
    (tmp_path / "mine.py").write_text("two\n")
    assert is_unchanged(found, known)


def test_what_cannot_be_known(tmp_path, monkeypatch):
    assert known_files(tmp_path, target="mine.make") is None  # a user's own function may read anything
    assert set(known_files(tmp_path, target="mine.make", has_digest=False)) == {f"source {tmp_path / 'mine.py'}"}
    monkeypatch.setattr(fingerprint, "MAX_FILES", 1)
    write(tmp_path / "data" / "raw" / "y.bin", "")
    assert known_files(tmp_path) is None


def test_links_to_a_folder_above_end(tmp_path):
    write(tmp_path / "data" / "raw" / "x.bin", "12")
    (tmp_path / "data" / "raw" / "above").symlink_to(tmp_path / "data")
    assert is_unchanged(known_files(tmp_path), {})

"""In which folder a run lives, and that two identities never share a name."""

import os

import pytest

from bakeoff.runs import Outcome, arm_folder, belongs_to_other_arm


def record(sweep, name, seed, identity, **arm):
    folder = sweep / name / f"seed={seed}"
    folder.mkdir(parents=True)
    Outcome(arm, seed, identity, []).write(folder)


def test_another_identity_gets_a_folder_of_its_own(tmp_path):
    arm = {"optimizer": "adam"}
    assert arm_folder(tmp_path, arm, lambda seed: f"one{seed}-------") == "optimizer=adam"
    record(tmp_path, "optimizer=adam", 0, "one0-------")
    assert arm_folder(tmp_path, arm, lambda seed: f"one{seed}-------") == "optimizer=adam"
    assert arm_folder(tmp_path, arm, lambda seed: f"two{seed}-------") == "optimizer=adam~two0----"


def test_a_damaged_record_claims_no_name(tmp_path):
    folder = tmp_path / "optimizer=adam" / "seed=0"
    folder.mkdir(parents=True)
    for text in ("", "{", "[]", "{}"):
        (folder / "outcome.json").write_text(text)
        assert arm_folder(tmp_path, {"optimizer": "adam"}, lambda seed: "x") == "optimizer=adam"


def test_identity_is_not_asked_for_in_a_fresh_sweep(tmp_path):
    def never(seed):
        raise AssertionError

    assert arm_folder(tmp_path, {"a": 1}, never) == "a=1"


def test_a_folder_is_named_by_what_differs(tmp_path):
    arm = {"optimizer": "adam", "loss": "mse"}
    assert arm_folder(tmp_path, arm, str, constant=["loss"]) == "optimizer=adam"
    assert arm_folder(tmp_path, arm, str, constant=["loss", "optimizer"]) == "optimizer=adam,loss=mse"


def own(seed):
    return f"own{seed}-------"


def test_what_sets_two_commands_apart_joins_the_name_and_nothing_else(tmp_path):
    record(tmp_path, "loss=mse", 0, "other", loss="mse", optimizer="sgd", steps=10)
    arm = {"optimizer": "adam", "loss": "mse", "steps": 10}
    assert arm_folder(tmp_path, arm, own, constant=["optimizer", "steps"]) == "optimizer=adam,loss=mse"


def test_a_name_that_others_have_becomes_the_whole_arm_and_then_a_hash(tmp_path):
    arm = {"optimizer": "adam", "loss": "mse"}
    record(tmp_path, "optimizer=adam", 0, "other", **arm)  # a default has changed since
    assert arm_folder(tmp_path, arm, own, constant=["loss"]) == "optimizer=adam,loss=mse"
    record(tmp_path, "optimizer=adam,loss=mse", 0, "another", **arm)
    assert arm_folder(tmp_path, arm, own, constant=["loss"]) == "optimizer=adam,loss=mse~own0----"


@pytest.mark.parametrize("name", ["optimizer=adam", "optimizer=adam,loss=mse,steps=10", "whatever~12345678"])
def test_an_arm_keeps_its_folder_whatever_command_adds_a_run(tmp_path, name):
    record(tmp_path, "optimizer=sgd", 0, "other", optimizer="sgd")
    record(tmp_path, name, 3, own(3), optimizer="adam")
    for constant in ([], ["loss", "steps"]):
        arm = {"optimizer": "adam", "loss": "mse", "steps": 10}
        assert arm_folder(tmp_path, arm, own, constant) == name


def test_a_run_that_could_not_be_built_claims_no_name(tmp_path):
    record(tmp_path, "optimizer=adam", 0, "", optimizer="adam")
    assert arm_folder(tmp_path, {"optimizer": "adam"}, own) == "optimizer=adam"


def test_a_folder_that_another_arm_has_taken_meanwhile(tmp_path):
    run = tmp_path / "optimizer=adam" / "seed=1"
    assert not belongs_to_other_arm(run, own)  # nobody is there
    record(tmp_path, "optimizer=adam", 0, own(0), optimizer="adam")
    assert not belongs_to_other_arm(run, own)
    record(tmp_path, "optimizer=sgd", 0, "other", optimizer="sgd")
    assert belongs_to_other_arm(tmp_path / "optimizer=sgd" / "seed=1", own)


def test_a_folder_that_was_removed_and_made_again_by_another_arm_is_that_arms(tmp_path):
    """Also within a tick of the clock: what is kept of a folder is kept with the state of its file."""
    arm = {"optimizer": "adam"}
    record(tmp_path, "optimizer=adam", 0, "own0-------", **arm)
    assert arm_folder(tmp_path, arm, own) == "optimizer=adam"
    path = tmp_path / "optimizer=adam" / "seed=0" / "outcome.json"
    before = path.stat()
    Outcome(arm, 0, "two0-------", []).write(path.parent)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    assert arm_folder(tmp_path, arm, own) == "optimizer=adam~own0----"
    assert belongs_to_other_arm(path.parent, own)

"""What an arm is, and the folder name built from it."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.runs import alike_in, arm_folder, arm_of, folder_name
from bakeoff.runs.arm import MAX_NAME_BYTES


def test_values_are_typed_and_places_are_left_out():
    overrides = ["optimizer=adam", "optimizer.lr=1e-2", "batch_size=full", "seed=3", "sweep=x", "root=/r", "log=full"]
    assert arm_of(overrides) == {"optimizer": "adam", "optimizer.lr": 0.01, "batch_size": "full"}
    assert arm_of(["a=1", "b=1.5", "c=true", "d=null", "e=[1,2]", "f='x y'", "+g=h", "hydra.verbose=true"]) == {
        "a": 1, "b": 1.5, "c": True, "d": None, "e": [1, 2], "f": "x y", "g": "h",
    }  # fmt: skip
    assert arm_of([]) == {}


@pytest.mark.parametrize(
    "key", ["workers=2", "retry=failed", "fail_fast=true", "dry_run=true", "pack=4", "checkpoints=all"]
)
def test_execution_keys_change_no_arm(key):
    assert arm_of([key]) == {}


def test_names():
    assert (
        folder_name({"optimizer": "adam", "loss": "mse", "batch_size": 64}) == "optimizer=adam,loss=mse,batch_size=64"
    )
    assert folder_name({}) == "default"
    assert folder_name({"model.widths": [64, 32], "x": True, "y": None}) == "model.widths=[64;32],x=true,y=null"
    assert folder_name({"data.root": "../a b/'c'"}) == "data.root=..%2Fa%20b%2F%27c%27"
    assert folder_name({"x": "größe"}) == "x=größe"
    assert folder_name({"x": "a=b,c~d"}) == "x=a%3Db%2Cc%7Ed"


TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)


@given(st.dictionaries(TEXT.filter(bool), TEXT | st.integers() | st.booleans() | st.none(), max_size=4))
def test_any_name_is_one_folder_of_bounded_length(arm):
    name = folder_name(arm)
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert not set(name) & set("/\\\0 \n\t'\"")
    assert name not in ("", ".", "..")
    assert os.path.basename(name) == name


@given(TEXT, TEXT)
def test_different_texts_have_different_names(a, b):
    assert (folder_name({"k": a}) == folder_name({"k": b})) == (a == b)


def record(sweep, name, seed, identity, **arm):
    folder = sweep / name / f"seed={seed}"
    folder.mkdir(parents=True)
    (folder / "outcome.json").write_text(json.dumps({"identity": identity, "arm": arm}))


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


def test_what_one_command_gives_to_all_its_runs_is_known():
    command = ["optimizer=sgd,adam", "loss=mse", "+x.y=1", "seed=0,1", "sweep=s", "trainer.threads=1", "log=full"]
    assert alike_in(command) == ["loss", "x.y", "trainer.threads"]
    assert alike_in(["optimizer.lr=range(1,4)", "loss=mse"]) == ["loss"]


def test_runs_that_differ_in_their_seed_alone_are_named_by_what_they_share():
    assert alike_in(["optimizer=adam", "loss=mse", "seed=0,1,2"]) == []
    assert alike_in(["optimizer=adam"]) == []


def test_a_folder_is_named_by_what_differs(tmp_path):
    arm = {"optimizer": "adam", "loss": "mse"}
    assert arm_folder(tmp_path, arm, str, alike=["loss"]) == "optimizer=adam"
    assert arm_folder(tmp_path, arm, str, alike=["loss", "optimizer"]) == "optimizer=adam,loss=mse"


def own(seed):
    return f"own{seed}-------"


def test_what_sets_two_commands_apart_joins_the_name_and_nothing_else(tmp_path):
    record(tmp_path, "loss=mse", 0, "other", loss="mse", optimizer="sgd", steps=10)
    arm = {"optimizer": "adam", "loss": "mse", "steps": 10}
    assert arm_folder(tmp_path, arm, own, alike=["optimizer", "steps"]) == "optimizer=adam,loss=mse"


def test_a_name_that_others_have_becomes_the_whole_arm_and_then_a_hash(tmp_path):
    arm = {"optimizer": "adam", "loss": "mse"}
    record(tmp_path, "optimizer=adam", 0, "other", **arm)  # a default has changed since
    assert arm_folder(tmp_path, arm, own, alike=["loss"]) == "optimizer=adam,loss=mse"
    record(tmp_path, "optimizer=adam,loss=mse", 0, "another", **arm)
    assert arm_folder(tmp_path, arm, own, alike=["loss"]) == "optimizer=adam,loss=mse~own0----"


@pytest.mark.parametrize("name", ["optimizer=adam", "optimizer=adam,loss=mse,steps=10", "whatever~12345678"])
def test_an_arm_keeps_its_folder_whatever_command_adds_a_run(tmp_path, name):
    record(tmp_path, "optimizer=sgd", 0, "other", optimizer="sgd")
    record(tmp_path, name, 3, own(3), optimizer="adam")
    for alike in ([], ["loss", "steps"]):
        arm = {"optimizer": "adam", "loss": "mse", "steps": 10}
        assert arm_folder(tmp_path, arm, own, alike) == name


def test_a_run_that_could_not_be_built_claims_no_name(tmp_path):
    record(tmp_path, "optimizer=adam", 0, "", optimizer="adam")
    assert arm_folder(tmp_path, {"optimizer": "adam"}, own) == "optimizer=adam"

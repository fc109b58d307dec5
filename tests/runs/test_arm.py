"""What an arm is, and the folder name built from it."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakeoff.runs import arm_of, constant_keys, folder_name
from bakeoff.runs.arm import MAX_NAME_BYTES


def test_values_are_typed_and_locations_are_left_out():
    overrides = ["optimizer=adam", "optimizer.lr=1e-2", "batch_size=full", "seed=3", "sweep=x", "root=/r", "log=full"]
    assert arm_of(overrides) == {"optimizer": "adam", "optimizer.lr": 0.01, "batch_size": "full"}
    assert arm_of(["a=1", "b=1.5", "c=true", "d=null", "e=[1,2]", "f='x y'", "+g=h", "hydra.verbose=true"]) == {
        "a": 1, "b": 1.5, "c": True, "d": None, "e": [1, 2], "f": "x y", "g": "h",
    }  # fmt: skip
    assert arm_of([]) == {}


def test_names():
    assert (
        folder_name({"optimizer": "adam", "loss": "mse", "batch_size": 64}) == "optimizer=adam,loss=mse,batch_size=64"
    )
    assert folder_name({}) == "default"
    assert folder_name({"model.widths": [64, 32], "x": True, "y": None}) == "model.widths=[64;32],x=true,y=null"
    assert folder_name({"data.root": "../a b/'c'"}) == "data.root=..%2Fa%20b%2F%27c%27"
    assert folder_name({"x": "größe"}) == "x=größe"
    assert folder_name({"x": "a=b,c~d"}) == "x=a%3Db%2Cc%7Ed"


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


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


def test_what_one_command_gives_to_all_its_runs_is_known():
    command = ["optimizer=sgd,adam", "loss=mse", "+x.y=1", "seed=0,1", "sweep=s", "trainer.threads=1", "log=full"]
    assert constant_keys(command) == ["loss", "x.y", "trainer.threads"]
    assert constant_keys(["optimizer.lr=range(1,4)", "loss=mse"]) == ["loss"]


def test_runs_that_differ_in_their_seed_alone_are_named_by_what_they_share():
    assert constant_keys(["optimizer=adam", "loss=mse", "seed=0,1,2"]) == []
    assert constant_keys(["optimizer=adam"]) == []


def test_a_dictionary_sets_the_keys_in_it():
    given = [
        "optimizer=sgd",
        "++optimizer={lr:0.01,betas:[0.9,0.99]}",
        "+callbacks.a={_target_:m.C,steps:{0:4}}",
        "clip={}",
    ]
    assert arm_of(given) == {
        "optimizer": "sgd",
        "optimizer.lr": 0.01,
        "optimizer.betas": [0.9, 0.99],
        "callbacks.a._target_": "m.C",
        "callbacks.a.steps.0": 4,
        "clip": {},
    }


def test_what_is_no_number_is_told_apart():
    values = ("inf", "-inf", "nan", "null", "1.0")
    arms = [arm_of([f"clip.norm={value}"]) for value in values]
    assert [arm["clip.norm"] for arm in arms] == ["inf", "-inf", "nan", None, 1.0]
    assert [folder_name(arm) for arm in arms] == [f"clip.norm={value}" for value in values]
    assert arm_of(["+x=[1.0,inf,{a:nan}]"]) == {"x": [1.0, "inf", {"a": "nan"}]}


@pytest.mark.parametrize(
    ("command", "constant"),
    [
        (["optimizer=adam,sgd", "++optimizer={lr:0.1},{lr:0.2}", "batch_size=3"], ["batch_size"]),
        (["optimizer=adam,sgd", "++optimizer={lr:0.1}"], ["optimizer.lr"]),
        (["optimizer=adam,sgd", "++optimizer={lr:0.1}", "optimizer.lr=1,2"], []),
        (["seed=0,1", "++optimizer={lr:0.1}"], []),
    ],
)
def test_what_a_dictionary_gives_to_all_runs_of_a_command(command, constant):
    assert constant_keys(command) == constant

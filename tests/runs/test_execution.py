"""The contract on keys: which make another arm, and which change no result."""

import pytest
from hydra import compose, initialize_config_dir

from bakeoff.errors import UserError
from bakeoff.launch.register import register_with_hydra
from bakeoff.launch.search_path import package_conf
from bakeoff.runs import arm_of
from bakeoff.runs.execution import (
    COMPARISON_KEYS,
    EXECUTION_KEYS,
    LOCATION_KEYS,
    METRIC_KEYS,
    check_execution,
    check_locations,
)
from bakeoff.runs.fingerprint import command_fingerprint

# Every key that stands in no arm, as ARCHITECTURE.md states them, with a value.
EXECUTION = {
    "workers": "2", "retry": "failed", "fail_fast": "true", "dry_run": "true", "lanes": "4", "checkpoints": "all",
    "checkpoint_every": "1", "log": "full", "reuse": "never", "tuning_note": "x",
}  # fmt: skip
COMPARISON = {"seeds": "5", "max_seeds": "9", "tune.trials": "3", "search.scale_beta2": "false",
              "grid.optimizer.sgd.lr": "[0.1]", "margin": "0.01"}  # fmt: skip
LOCATION = {"seed": "3", "sweep": "x", "root": "/r"}
METRIC = {"metric": "val/nll", "metric_direction": "min"}
ARM = {"optimizer": "adam", "optimizer.lr": "0.1", "batch_size": "full", "trainer.threads": "1", "callbacks.log": "1",
       "data.seed": "1", "+model.workers": "2", "schedule": "cosine", "early_stopping.patience": "2"}  # fmt: skip


def test_the_table_is_complete():
    assert set(EXECUTION) == EXECUTION_KEYS
    assert {key.split(".")[0] for key in COMPARISON} == COMPARISON_KEYS
    assert set(LOCATION) == LOCATION_KEYS
    assert set(METRIC) == METRIC_KEYS


@pytest.mark.parametrize(("key", "value"), [*(EXECUTION | COMPARISON | LOCATION | METRIC).items()])
def test_keys_that_stand_in_no_arm(key, value):
    assert arm_of([f"{key}={value}"]) == {}
    assert arm_of([f"+{key}={value}"]) == {}


@pytest.mark.parametrize(("key", "value"), [*ARM.items()])
def test_keys_that_make_another_arm(key, value):
    assert set(arm_of([f"{key}={value}"])) == {key.lstrip("+")}


@pytest.mark.parametrize(("key", "value"), [*(EXECUTION | COMPARISON).items()])
def test_a_command_is_recognized_whatever_its_execution_and_comparison_keys(key, value):
    assert command_fingerprint(["a=1", f"{key}={value}"], "conf") == command_fingerprint(["a=1"], "conf")


@pytest.mark.parametrize(("key", "value"), [*ARM.items(), ("seed", "3"), *METRIC.items()])
def test_a_command_with_another_choice_is_another(key, value):
    assert command_fingerprint(["a=1", f"{key}={value}"], "conf") != command_fingerprint(["a=1"], "conf")


RESERVED = {"lanes"}  # no configuration has it yet


@pytest.mark.parametrize(
    ("key", "value"),
    [item for item in [*EXECUTION.items(), *LOCATION.items(), *METRIC.items()] if item[0] not in RESERVED],
)
def test_keys_that_stand_in_no_identity(key, value):
    from bakeoff.train import resolve_settings
    from bakeoff.train.identity import identity_by_seed

    register_with_hydra()

    def identity(*overrides):
        with initialize_config_dir(str(package_conf()), version_base="1.3"):
            settings = resolve_settings(compose("bakeoff", list(overrides)), overrides)
        return identity_by_seed(settings)(0)

    assert identity(f"{key}={value}") == identity()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"workers": 0}, "workers must be a whole number >= 1 or auto, got 0"),
        ({"workers": True}, "workers must be a whole number >= 1 or auto, got True"),
        ({"reuse": "allways"}, r"reuse must be always, known or never, got allways \(did you mean always\?\)"),
        ({"retry": "faild"}, r"retry must be failed or null, got faild \(did you mean failed\?\)"),
        ({"fail_fast": 1}, "fail_fast must be true or false, got 1"),
        ({"dry_run": None}, "dry_run must be true, false or memory, got None"),
        ({"trainer": {"threads": 0}}, "trainer.threads must be a whole number >= 1 or null, got 0"),
    ],
)
def test_bad_values_are_refused(override, message):
    good = {
        "workers": "auto",
        "retry": None,
        "reuse": "always",
        "fail_fast": False,
        "dry_run": False,
        "trainer": {"threads": 1},
    }
    check_execution(good)
    with pytest.raises(UserError, match=f"^{message}$"):
        check_execution(good | override)


@pytest.mark.parametrize(
    ("override", "value", "message"),
    [
        (
            "sweep=2026_11_25",
            20261125,
            r"sweep must be text, got 20261125 \(int\); quote it twice: sweep=\"'2026_11_25'\"",
        ),
        ("sweep=1e3", 1000.0, "sweep must be text, got 1000.0"),
        ("root=true", True, "root must be text, got True"),
        ("seed=7", 7, "sweep must be text, got 7"),  # from a file, where nobody knows how it was written
    ],
)
def test_names_of_folders_that_read_as_something_else(override, value, message):
    key = override.partition("=")[0].replace("seed", "sweep")
    with pytest.raises(UserError, match=message):
        check_locations({"root": "outputs", "sweep": "main", key: value}, [override])


def test_a_number_that_reads_as_it_was_typed_names_a_folder():
    check_locations({"root": "outputs", "sweep": 7}, ["sweep=7"])
    check_locations({"root": "outputs", "sweep": "2026-11-25"}, ["sweep=2026-11-25"])

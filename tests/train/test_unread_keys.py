"""A key that nothing reads is refused; one that an interpolation reads is read."""

import pytest
from omegaconf import OmegaConf

from bakeoff.errors import UserError
from bakeoff.train.unread_keys import KNOWN, refuse_unread_keys

CONFIG = {
    "optimizer": {"_target_": "torch.optim.SGD", "lr": 0.1},
    "schedule": {"_target_": None, "_partial_": True},
    "batch_size": 16,
}


def check(**added):
    refuse_unread_keys(OmegaConf.create({**CONFIG, **added}))


def test_what_settings_and_launcher_read_is_known():
    assert {"data", "seed", "trainer", "callbacks", "workers", "fail_fast", "tuning_note"} <= KNOWN
    check()


@pytest.mark.parametrize(
    ("own", "reference"),
    [
        ({"rate": 0.1}, "${rate}"),
        ({"rates": {"sgd": 0.1, "adam": 0.2}}, "${rates.${name}}"),
        ({"rates": {"sgd": 0.1}}, "${rates.sgd}"),
        ({"rates": {"sgd": 0.1}}, "${rates[sgd]}"),
        ({"rate": 0.1}, "${oc.decode:${rate}}"),
        ({"rate": 0.1}, "${ rate }"),
    ],
)
def test_what_an_interpolation_names_is_read(own, reference):
    added = {"callbacks": {"a": {"_target_": "a.b", "values": [reference]}}}
    check(**own, **added)
    with pytest.raises(UserError, match=f"nothing reads {next(iter(own))}"):
        check(**own)


def test_each_key_of_an_own_group_is_to_be_read():
    added = {"callbacks": {"a": {"_target_": "a.b", "x": "${own.a}"}}}
    check(own={"a": 1}, **added)
    with pytest.raises(UserError, match=r"nothing reads own\.b\.c; remove it"):
        check(own={"a": 1, "b": {"c": 2}}, **added)


def test_a_resolver_is_no_key():
    with pytest.raises(UserError, match="nothing reads oc"):
        check(oc=1, callbacks={"a": {"_target_": "a.b", "x": "${oc.env:HOME}"}})


def test_an_unread_key_reads_nothing():
    with pytest.raises(UserError, match="nothing reads a"):
        check(a=1, b="${a}")


def test_a_part_without_a_class_has_no_settings():
    with pytest.raises(UserError, match=r"nothing reads schedule\.final: this schedule has no class"):
        check(schedule={"_target_": None, "_partial_": True, "final": 0.1})
    check(schedule={"_target_": "bakeoff.schedules.cosine", "final": 0.1})

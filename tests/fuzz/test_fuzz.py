"""Ten thousand commands: each trains, or is refused in one line.

pytest -m long tests/fuzz                          all of them; a fault is shown with its command
python -m tests.fuzz.test_fuzz 4711                one of them again
"""

import logging
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from bakeoff.launch.search_path import package_conf
from bakeoff.train import check_ranges, parse_settings, update

from .configurations import Generator
from .harness import FaultFoundError, config_loader, perform

COMMANDS = 10_000
SHARES = 20  # so that several processes can have some each
EACH = COMMANDS // SHARES


@pytest.fixture
def fuzz(tmp_path, monkeypatch):
    """`fuzz(numbers)` performs these commands; gives how many did what, and the faults by the command's number."""
    monkeypatch.chdir(tmp_path)
    generator, loader = Generator(package_conf()), config_loader()

    def performed(numbers):
        counts, faults = Counter(), {}
        for number in numbers:
            try:
                counts[perform(generator.command(number), loader, tmp_path / "run")] += 1
            except FaultFoundError as fault:
                faults[number] = str(fault)
        return counts, faults

    logging.disable(logging.ERROR)
    yield performed
    logging.disable(logging.NOTSET)
    HydraConfig.instance().cfg = None


@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
def test_every_command_trains_or_is_refused_in_one_line(fuzz, share):
    counts, faults = fuzz(range(share * EACH, (share + 1) * EACH))
    assert not faults, f"{len(faults)} faults, such as:\n\n" + "\n\n".join(list(faults.values())[:10])
    assert counts.total() == EACH
    # 30% of all; a share of 500 spreads by 2%
    assert counts["trained"] >= 0.25 * EACH
    assert counts["refused"] >= 0.25 * EACH


def test_a_few_commands(fuzz):
    counts, faults = fuzz(range(COMMANDS, COMMANDS + 25))
    assert not faults, "\n\n".join(faults.values())
    assert set(counts) == {"trained", "refused"}


def _drop_unknown_keys(kind, name, values):
    return _group(kind, name, {key: value for key, value in values.items() if key in kind.__annotations__})


def _raise_for_one_batch(settings):
    if settings.batch_size == 16:
        raise ZeroDivisionError("planted")
    return _check_ranges(settings)


def _has_unknown_key(command):
    groups = ("budget.", "clip.", "early_stopping.", "trainer.")
    return any(override.lstrip("+").startswith(groups) and override[0] == "+" for override in command.overrides)


def _has_late_schedule(command):
    return "schedule=warmup_cosine" in command.overrides and "schedule.final" in " ".join(command.overrides)


_group, _check_ranges = parse_settings._group, check_ranges.check_ranges
FAULTS = {
    "a key that is dropped": (
        parse_settings,
        "_group",
        _drop_unknown_keys,
        "is accepted, and nothing reads",
        _has_unknown_key,
    ),
    "an error that is not ours": (
        parse_settings,
        "check_ranges",
        _raise_for_one_batch,
        "ends in ZeroDivisionError",
        any,
    ),
    "a schedule that is tried at its start alone": (
        update,
        "TRIED_FRACTIONS",
        (0.0,),
        "is accepted and failed",
        _has_late_schedule,
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_found(fuzz, monkeypatch, name):
    module, function, planted, said, meets = FAULTS[name]
    monkeypatch.setattr(module, function, planted)
    generator = Generator(package_conf())
    # those that can meet it, so that it is found soon
    numbers = [number for number in range(COMMANDS) if meets(generator.command(number))]
    for start in range(0, len(numbers), 20):
        _, faults = fuzz(numbers[start : start + 20])
        if any(said in fault for fault in faults.values()):
            return
    pytest.fail(f"{name} was not found in {len(numbers)} commands")


if __name__ == "__main__":
    wanted, begun = Generator(package_conf()).command(int(sys.argv[1])), time.monotonic()
    print("bakeoff", *wanted.overrides)
    print(perform(wanted, config_loader(), Path("fuzzed")), f"{time.monotonic() - begun:.2f} s")

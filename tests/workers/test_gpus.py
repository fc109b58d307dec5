"""Which GPUs a process may use: CUDA_VISIBLE_DEVICES decides, else NVIDIA's own library says. No GPU is needed."""

import sys
import types

import pytest

from bakeoff.workers.gpus import visible_gpus

PLAIN = ("GPU-a", None)
OTHER = ("GPU-b", None)
DIVIDED = ("GPU-c", ("MIG-1", None, "MIG-2", None))  # two instances, of four that are possible
NOT_DIVIDED = ("GPU-d", ())  # it could be
ALL_FREE = ("GPU-e", (None, None))  # divided, and without an instance


class NVMLError(Exception):
    """What NVIDIA's library raises for everything."""


class FakeNVML(types.ModuleType):
    """The part of `pynvml` that is asked. Each device is its UUID and its MIG instances: None if it cannot have any."""

    NVMLError = NVMLError
    NVML_DEVICE_MIG_ENABLE = 1

    def __init__(self, *devices, has_driver=True, fails=()):
        super().__init__("pynvml")
        self.devices, self.has_driver, self.fails, self.is_open = devices, has_driver, fails, False

    def nvmlInit(self):  # noqa: N802
        if not self.has_driver:
            raise NVMLError("driver not loaded")
        self.is_open = True

    def nvmlShutdown(self):  # noqa: N802
        assert self.is_open
        self.is_open = False

    def nvmlDeviceGetCount(self):  # noqa: N802
        assert self.is_open
        return len(self.devices)

    def nvmlDeviceGetHandleByIndex(self, number):  # noqa: N802
        if number in self.fails:
            raise NVMLError("GPU is lost")
        return self.devices[number]

    def nvmlDeviceGetMigMode(self, device):  # noqa: N802
        if device[1] is None:
            raise NVMLError("not supported")
        return [int(bool(device[1])), 0]  # now, and after the next start

    def nvmlDeviceGetMaxMigDeviceCount(self, device):  # noqa: N802
        return len(device[1])

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device, index):  # noqa: N802
        if device[1][index] is None:
            raise NVMLError("not found")
        return (device[1][index], None)

    def nvmlDeviceGetUUID(self, device):  # noqa: N802
        return device[0]


@pytest.fixture
def driver(monkeypatch):
    """`driver(PLAIN, DIVIDED)` is a machine with these devices."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(*devices, **options):
        fake = FakeNVML(*devices, **options)
        monkeypatch.setitem(sys.modules, "pynvml", fake)
        return fake

    return install


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ((), []),
        ((PLAIN,), ["GPU-a"]),
        ((PLAIN, OTHER), ["GPU-a", "GPU-b"]),
        ((DIVIDED,), ["MIG-1", "MIG-2"]),
        ((PLAIN, DIVIDED, OTHER), ["GPU-a", "MIG-1", "MIG-2", "GPU-b"]),
        ((NOT_DIVIDED, ALL_FREE), ["GPU-d"]),
    ],
    ids=["none", "one", "two", "divided", "mixed", "divided without instances"],
)
def test_the_driver_lists_them_by_uuid(driver, devices, expected):
    fake = driver(*devices)
    assert visible_gpus() == expected
    assert not fake.is_open


def test_without_a_driver_there_are_none(driver):
    driver(PLAIN, has_driver=False)
    assert visible_gpus() == []


def test_a_driver_that_fails_has_none(driver):
    fake = driver(PLAIN, OTHER, fails=(1,))
    assert visible_gpus() == []
    assert not fake.is_open


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ("0", ["0"]),
        ("3,GPU-ab", ["3", "GPU-ab"]),
        (" 1 , MIG-1 ", ["1", "MIG-1"]),
        ("", []),
        ("-1", []),
        ("0,,1", ["0", "1"]),
    ],
)
def test_what_the_environment_chooses_is_not_asked_for(driver, monkeypatch, chosen, expected):
    driver(PLAIN, fails=(0,))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus() == expected


def test_the_real_library_has_what_is_asked_of_it():
    import pynvml

    asked = [name for name in vars(FakeNVML) if name.startswith(("nvml", "NVML"))]
    assert len(asked) == 10
    assert not [name for name in asked if not hasattr(pynvml, name)]

"""The NVIDIA GPUs that this process may use. torch is neither asked nor needed."""

from __future__ import annotations

import os
from typing import Any


def visible_gpus() -> list[str]:
    """The GPUs of this machine as `CUDA_VISIBLE_DEVICES` names them: a MIG instance counts as one.

    Where that variable is set, it decides. Otherwise the driver is asked, by NVIDIA's own library; by UUID, since CUDA
    numbers GPUs in another order than the driver.
    """
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu.strip() for gpu in chosen.split(",") if gpu.strip() not in ("", "-1")]
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver
        return []
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
        return [uuid for handle in handles for uuid in _uuids(pynvml, handle)]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _uuids(nvml: Any, handle: Any) -> list[str]:
    """The device's own, or those of its MIG instances where it is divided into such."""
    try:
        is_divided = nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE
    except nvml.NVMLError:  # a device that cannot be divided
        is_divided = False
    if not is_divided:
        return [str(nvml.nvmlDeviceGetUUID(handle))]
    found = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            found.append(str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))))
        except nvml.NVMLError:  # no instance of that number
            continue
    return found

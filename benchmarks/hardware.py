"""What a figure was measured on: printed by every benchmark above its table."""

import importlib.metadata
import os
import platform

import torch


def describe() -> str:
    """Processor, cores, threads, GPU and the versions that matter, on two lines."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("torch", "lightning", "bakeoff"))
    machine = f"{_processor()}, {os.cpu_count()} cores{gpu}"
    return f"{machine}\nPython {platform.python_version()}, {versions}, {torch.get_num_threads()} threads"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()

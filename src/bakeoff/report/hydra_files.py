"""Reads what Hydra wrote of a run, in its folder `.hydra`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a tenth of the time


def composed_config(run: Path) -> Mapping[str, Any]:
    """The composed configuration; empty where it cannot be read."""
    return _content(_text(run / ".hydra" / "config.yaml"))


def command_line_options(run: Path) -> list[str]:
    """The options, beside overrides, that the run's command had and its repetition needs."""
    text = _text(run / ".hydra" / "hydra.yaml")
    # most runs have none, and a thousand files of YAML take seconds
    if "provider: command-line" not in text and "config_name: bakeoff\n" in text:
        return []
    try:
        hydra = _content(text)["hydra"]
        name, sources = hydra["job"]["config_name"], hydra["runtime"]["config_sources"]
        folders = [source["path"] for source in sources if source["provider"] == "command-line"]
    except (LookupError, TypeError):  # damaged, or of another version of Hydra
        return []
    named = [] if name == "bakeoff" else [f"--config-name={name}"]
    return [*(f"--config-dir={folder}" for folder in folders), *named]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return ""


def _content(text: str) -> Mapping[str, Any]:
    try:
        content = yaml.load(text, Loader=LOADER)
    except (ValueError, yaml.YAMLError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}

"""One message with the remedy, from what Hydra, OmegaConf and the file system say of a command."""

from __future__ import annotations

import os
import re
import traceback

from hydra.core.config_loader import ConfigLoader
from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from bakeoff.errors import UserError, did_you_mean
from bakeoff.launch.known import known_keys, options_of


def is_users(error: BaseException) -> bool:
    """Whether it is about the command and not a fault of ours: the message is enough, without a stack trace."""
    if isinstance(error, (UserError, HydraException, OmegaConfBaseException, OSError)):
        return True
    # Hydra raises plain ValueErrors and TypeErrors, too, of a command
    return _is_of_environment(error) or (isinstance(error, (ValueError, TypeError)) and _is_raised_by_hydra(error))


def _is_of_environment(error: BaseException) -> bool:
    """Whether a lookup in `os.environ` raised it, as Hydra's for `hydra.job.env_copy` does."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return isinstance(error, KeyError) and frames[-1].f_code is type(os.environ).__getitem__.__code__


def _is_raised_by_hydra(error: BaseException) -> bool:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and str(frames[-1].f_globals.get("__name__")).split(".")[0] in ("hydra", "omegaconf")


def explain(error: BaseException, loader: ConfigLoader | None = None) -> str:
    """One line. `loader` is that of the command, in a worker of it."""
    if isinstance(error, OSError) and not isinstance(error, HydraException):  # some of Hydra's errors are both
        place = error.filename or "the output folder"
        return f"cannot write to {place}: {error.strerror}; choose another folder with root=..."
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    if _is_of_environment(error):
        return f"the environment variable {error.args[0]} is not set"
    text = str(error)
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        return _unknown_key(unknown.group(1), loader)
    # Hydra lists the options, which helps, and then its search path, which does not.
    text = text.split("\nConfig search path:")[0].removeprefix("In 'bakeoff': ").rstrip()
    missing = re.search(r"(Could not find '[^']*?/?([^'/]+)')\n\nAvailable options in '[^']+':\n(.*)", text, re.DOTALL)
    if missing:
        options = [line.strip() for line in missing.group(3).splitlines() if line.strip()]
        return _no_option(missing.group(1), missing.group(2), options)
    missing_in_list = re.fullmatch(r"Could not load '(([^']+)/([^'/]+))'\.", text)
    if missing_in_list:
        path, group, name = missing_in_list.groups()
        return _no_option(f"Could not find '{path}'", name, options_of(group, loader))
    if text.startswith("Config group override must be a string or a list"):
        return _no_name(error, loader)
    return "; ".join(line.strip() for line in text.splitlines() if line.strip()) or type(error).__name__


def _no_option(what: str, name: str, options: list[str]) -> str:
    return f"{what}{did_you_mean(name, options)}; there are {', '.join(options)}"


def _no_name(error: BaseException, loader: ConfigLoader | None) -> str:
    """Hydra does not say of which group; it looks through the overrides one by one."""
    *_, frame = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    override = frame.f_locals["override"]
    options = ", ".join(options_of(override.key_or_group, loader))
    return f"{override.input_line}: give one of {options}, or leave {override.key_or_group} out for the default"


def _unreadable(error: OverrideParseException) -> str:
    """The parser's own words are about its grammar."""
    what = f"Error parsing override '{error.override}'"
    key, equals, value = error.override.partition("=")
    if not equals:
        return f"{what}: it has no value; write {key}=..."
    if value.endswith(","):
        return f"{what}: no space may follow a comma; write {key}=a,b"
    return f"{what}: quote a value with spaces, commas or brackets twice: \"{key}='a (b)'\""


def _unknown_key(key: str, loader: ConfigLoader | None) -> str:
    if key.startswith("hydra."):  # Hydra's own are not ours to list
        return f"unknown key {key}; `bakeoff --cfg hydra` shows those there are; to add one, write +{key}=..."
    group, _, _ = key.rpartition(".")
    known = known_keys(loader)
    siblings = [k for k in known if k.rpartition(".")[0] == group] or known
    hint = did_you_mean(key, siblings)
    place = f"in {group}" if group in _groups(known) else "at the top"
    there = ", ".join(k.rpartition(".")[2] for k in siblings)
    adding = f"; to add an argument of its class, write +{key}=..." if f"{group}._target_" in known else ""
    return f"unknown key {key}{hint}; {place} there are {there}{adding}"


def _groups(keys: list[str]) -> set[str]:
    return {key.rpartition(".")[0] for key in keys} - {""}


def explain_any(error: BaseException, loader: ConfigLoader | None = None) -> str:
    """As `explain`; an error that is not of the command, such as one of a user's module on import, with its type."""
    return explain(error, loader) if is_users(error) else f"{type(error).__name__}: {error}"

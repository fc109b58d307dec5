"""The command `bakeoff`: a Hydra application whose errors are one message, without a stack trace unless asked for."""

from __future__ import annotations

import os
import re
import sys
import traceback

import hydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from bakeoff.errors import USAGE_STATUS, UserError, did_you_mean
from bakeoff.launch.resolvers import register_resolvers
from bakeoff.launch.search_path import BakeoffSearchPath, package_conf

FULL_ERROR = "HYDRA_FULL_ERROR"  # Hydra's own switch; set, it raises what it would otherwise print
MULTIRUN = ("-m", "--multirun")
_wants_trace = os.environ.get(FULL_ERROR) == "1"


def main() -> None:
    """Entry point of the console script."""
    os.environ[FULL_ERROR] = "1"
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in MULTIRUN)  # Hydra reads no flag between overrides
    sys.path.append(os.getcwd())  # a user's own classes lie beside the command; the package's own win
    Plugins.instance().register(BakeoffSearchPath)
    register_resolvers()
    try:
        # without a path, Hydra would take the package's own folders, such as `workers`, for configuration groups
        hydra.main(version_base="1.3", config_path=str(package_conf()), config_name="bakeoff")(_run)()
    except BrokenPipeError:  # `bakeoff --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        if _wants_trace:
            raise
        sys.stderr.write(f"bakeoff: {explain(error)}\n")
        sys.exit(USAGE_STATUS)
    except KeyError as error:
        if _wants_trace or not _is_of_environment(error):
            raise
        sys.stderr.write(f"bakeoff: the environment variable {error.args[0]} is not set\n")
        sys.exit(USAGE_STATUS)
    except KeyboardInterrupt:
        sys.stderr.write("\nbakeoff: stopped\n")
        sys.exit(130)


def _run(config: DictConfig) -> float | None:
    from bakeoff.launch.task import train  # torch and Lightning take seconds to import: not for --help

    try:
        return train(config)
    except UserError as error:
        if _wants_trace:
            raise
        # SystemExit: whatever else leaves a job is announced by Hydra in lines of its own
        sys.stderr.write(f"bakeoff: {error}\n")
        raise SystemExit(USAGE_STATUS) from error


def explain(error: BaseException) -> str:
    """One message with the remedy, from an error of ours, of Hydra's, or of the file system."""
    if isinstance(error, OSError) and not isinstance(error, HydraException):  # some of Hydra's errors are both
        place = error.filename or "the output folder"
        return f"cannot write to {place}: {error.strerror}; choose another folder with root=..."
    if isinstance(error, OverrideParseException):
        return _unreadable(error)
    text = str(error)
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        return _unknown_key(unknown.group(1))
    # Hydra lists the options, which helps, and then its search path, which does not.
    text = text.split("\nConfig search path:")[0].removeprefix("In 'bakeoff': ").rstrip()
    missing = re.search(r"Could not find '[^']*?/?([^'/]+)'\n\nAvailable options in '[^']+':\n(.*)", text, re.DOTALL)
    if missing:
        options = [line.strip() for line in missing.group(2).splitlines() if line.strip()]
        text = text.replace("'\n\n", f"'{did_you_mean(missing.group(1), options)}\n\n", 1)
    return text


def _is_of_environment(error: KeyError) -> bool:
    """Whether a lookup in `os.environ` raised it, as Hydra's for `hydra.job.env_copy` does."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_code is type(os.environ).__getitem__.__code__


def _unreadable(error: OverrideParseException) -> str:
    """The parser's own words are about its grammar."""
    what = f"Error parsing override '{error.override}'"
    key, equals, value = error.override.partition("=")
    if not equals:
        return f"{what}: it has no value; write {key}=..."
    if value.endswith(","):
        return f"{what}: no space may follow a comma; write {key}=a,b"
    return f"{what}: quote a value with spaces, commas or brackets twice: \"{key}='a (b)'\""


def _unknown_key(key: str) -> str:
    if key.startswith("hydra."):  # Hydra's own are not ours to list
        return f"unknown key {key}; `bakeoff --cfg hydra` shows those there are; to add one, write +{key}=..."
    group, _, _ = key.rpartition(".")
    known = _known_keys()
    siblings = [k for k in known if k.rpartition(".")[0] == group] or known
    hint = did_you_mean(key, siblings)
    place = f"in {group}" if group in _groups(known) else "at the top"
    there = ", ".join(k.rpartition(".")[2] for k in siblings)
    adding = f"; to add an argument of its class, write +{key}=..." if f"{group}._target_" in known else ""
    return f"unknown key {key}{hint}; {place} there are {there}{adding}"


def _known_keys() -> list[str]:
    with hydra.initialize_config_dir(str(package_conf()), version_base="1.3"):
        config = hydra.compose("bakeoff")
    top = [str(key) for key in config]
    return top + [f"{key}.{inner}" for key in top if OmegaConf.is_dict(config[key]) for inner in config[key]]


def _groups(keys: list[str]) -> set[str]:
    return {key.rpartition(".")[0] for key in keys} - {""}

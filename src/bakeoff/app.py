"""The command `bakeoff`: a Hydra application whose errors are one message, without a stack trace unless asked for."""

from __future__ import annotations

import os
import sys

import hydra
from hydra.core.plugins import Plugins
from omegaconf import DictConfig

from bakeoff.errors import USAGE_STATUS
from bakeoff.launch.explain import explain, is_users
from bakeoff.launch.register import register_with_hydra
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
    register_with_hydra()
    try:
        # without a path, Hydra would take the package's own folders, such as `workers`, for configuration groups
        hydra.main(version_base="1.3", config_path=str(package_conf()), config_name="bakeoff")(_run)()
    except BrokenPipeError:  # `bakeoff --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.stderr.write("\nbakeoff: stopped\n")
        sys.exit(130)
    except Exception as error:
        if _wants_trace or not is_users(error):
            raise
        sys.stderr.write(f"bakeoff: {explain(error)}\n")
        sys.exit(USAGE_STATUS)


def _run(config: DictConfig) -> float | None:
    from bakeoff.launch.task import train  # torch and Lightning take seconds to import: not for --help

    try:
        return train(config)
    except Exception as error:
        if _wants_trace or not is_users(error):
            raise
        # SystemExit: whatever else leaves a job is announced by Hydra in lines of its own
        sys.stderr.write(f"bakeoff: {explain(error)}\n")
        raise SystemExit(USAGE_STATUS) from error

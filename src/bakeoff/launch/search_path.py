"""Where configurations are looked for; the first wins: `--config-dir`, the user's `./conf`, the package's own.

The plugin is registered by the application when it starts. Installed in `hydra_plugins`, it would change the search
path of every other Hydra application in the environment.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


def package_conf() -> Path:
    """The package's own `conf/`: inside the installed wheel, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "conf"
    return installed if installed.is_dir() else package.parents[1] / "conf"


class BakeoffSearchPath(SearchPathPlugin):
    """Puts the user's folders before the package's. Hydra by itself lets the package win on equal names."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Called by Hydra once, when the application starts."""
        search_path.append("bakeoff", f"file://{package_conf()}")
        own = Path.cwd() / "conf"
        if own.is_dir() and own.resolve() != package_conf():
            search_path.prepend("user", f"file://{own}")
        config_dir = _config_dir(sys.argv[1:])
        if config_dir is not None:
            search_path.prepend("command-line-first", f"file://{Path(config_dir).resolve()}")


def _config_dir(arguments: list[str]) -> str | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config-dir", "-cd")
    directory: str | None = parser.parse_known_args(arguments)[0].config_dir
    return directory

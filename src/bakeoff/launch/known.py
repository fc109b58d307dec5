"""Which keys and options there are, as Hydra finds them: ours, and those of the user's own folders.

`loader` is that of a command, which a worker is given; None in the process of the command itself, or outside of one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import hydra
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf

from bakeoff.launch.search_path import package_conf

PRIMARY = "bakeoff"


def known_keys(loader: ConfigLoader | None) -> list[str]:
    """`optimizer`, `optimizer.lr`, ...: at the top, and one level below."""
    with _config_loader(loader) as found:
        config = found.load_configuration(PRIMARY, [], run_mode=RunMode.RUN)
    top = [str(key) for key in config if key != "hydra"]
    return top + [f"{key}.{inner}" for key in top if OmegaConf.is_dict(config[key]) for inner in config[key]]


def options_of(group: str, loader: ConfigLoader | None) -> list[str]:
    """The choices of a group, such as `adam` of `optimizer`; none where there is no such group."""
    with _config_loader(loader) as found:
        return sorted(found.get_group_options(group))


@contextlib.contextmanager
def _config_loader(loader: ConfigLoader | None) -> Iterator[ConfigLoader]:
    """Outside of a command, such as in a test, one of the package's own configurations."""
    if loader is not None:
        yield loader
    elif GlobalHydra.instance().is_initialized():
        yield GlobalHydra.instance().config_loader()
    else:
        with hydra.initialize_config_dir(str(package_conf()), version_base="1.3"):
            yield GlobalHydra.instance().config_loader()

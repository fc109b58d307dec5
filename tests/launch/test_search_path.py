"""Where configurations are looked for, and in which order; the package's own modules are no configuration groups."""

import re

import pytest

from bakeoff.launch.search_path import package_conf

PACKAGE = f"file://{package_conf()}"


def search_path(bakeoff, *arguments):
    """The folders, in order, without Hydra's own; each once, where it comes first."""
    result = bakeoff(*arguments, "--info", "searchpath")
    assert result.status == 0, result.err
    return list(dict.fromkeys(re.findall(r"(file://\S+)", result.out)))


def test_the_package_alone(bakeoff):
    assert search_path(bakeoff) == [PACKAGE]


def test_the_users_folders_come_first(bakeoff, tmp_path):
    for name in ("conf", "other"):
        (tmp_path / name).mkdir()
    assert search_path(bakeoff) == [f"file://{tmp_path}/conf", PACKAGE]
    both = search_path(bakeoff, "--config-dir", "other")
    assert both == [f"file://{tmp_path}/other", f"file://{tmp_path}/conf", PACKAGE]


def test_a_configuration_of_the_users_own_finds_the_packages_groups(bakeoff, tmp_path):
    (tmp_path / "own").mkdir()
    assert search_path(bakeoff, "--config-path", f"{tmp_path}/own") == [f"file://{tmp_path}/own", PACKAGE]


def test_a_setting_may_have_the_name_of_a_folder_of_the_package(bakeoff):
    """`workers` as a configuration group could not be a number."""
    assert (package_conf().parent / "src" / "bakeoff" / "workers").is_dir()
    assert "\nworkers: 3\n" in bakeoff("workers=3", "--cfg", "job").out


@pytest.mark.parametrize("name", ["runs", "launch", "report"])
def test_a_folder_of_the_package_is_no_group(bakeoff, name):
    result = bakeoff(f"{name}=3", "--cfg", "job")
    assert (result.status, result.out) == (2, "")
    assert f"bakeoff: unknown key {name}" in result.err

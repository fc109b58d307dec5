"""The user's own modules that a class is made of: found without importing any, wherever they lie."""

import importlib
import json
import sys
import zipfile

import pytest

from bakeoff.runs.module_specs import find_spec
from bakeoff.runs.modules import changed_modules, own_modules

TREE = {
    "mine.py": "import torch, numpy, os\nimport helper\nfrom base import Base\nclass Net(Base):\n    pass\n",
    "helper.py": "from pack.deep import inner\nSCALE = 1.0\n",
    "base.py": "class Base:\n    def f(self):\n        import late\n",
    "late.py": "import mine\n",  # a circle
    "pack/__init__.py": "from . import side\n",
    "pack/side.py": "X = 1\n",
    "pack/deep/__init__.py": "",
    "pack/deep/inner.py": "from ..side import X\nfrom space.one import Y\n",
    "pack/unused.py": "",
    "space/one.py": "Y = 1\n",  # a namespace package
    "space/below/two.py": "Z = 1\n",
    "unused.py": "",
}
ALL = {"mine", "helper", "base", "late", "pack", "pack.side", "pack.deep", "pack.deep.inner", "space.one"}


def write(folder, tree):
    for name, text in tree.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A folder of the user's modules on the search path; what is imported from it is forgotten at the end."""
    write(tmp_path / "a", TREE)
    monkeypatch.syspath_prepend(tmp_path / "a")
    before = set(sys.modules)
    yield tmp_path / "a"
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_all_that_is_imported_and_nothing_else(tree):
    assert set(own_modules(["mine.Net"])) == ALL
    assert not ALL & set(sys.modules)  # found without an import
    importlib.import_module("mine")
    assert set(own_modules(["mine.Net"])) == ALL


@pytest.mark.parametrize("file", [name for name in TREE if "unused" not in name and "two" not in name])
def test_each_of_them_counts(tree, file):
    before = own_modules(["mine.Net.build"])
    (tree / file).write_text(TREE[file] + "\n# a comment\n")
    assert own_modules(["mine.Net.build"]) == before
    (tree / file).write_text(TREE[file] + "\nNEW = 1\n")
    assert own_modules(["mine.Net.build"]) != before


@pytest.mark.parametrize("file", ["unused.py", "pack/unused.py", "space/below/two.py"])
def test_others_do_not(tree, file):
    before = own_modules(["mine.Net"])
    (tree / file).write_text("NEW = 1\n")
    assert own_modules(["mine.Net"]) == before


def test_a_moved_folder_changes_nothing(tree, monkeypatch):
    before = own_modules(["mine.Net"])
    moved = tree.with_name("b")
    tree.rename(moved)
    assert own_modules(["mine.Net"]) == {}
    monkeypatch.syspath_prepend(moved)
    assert own_modules(["mine.Net"]) == before
    (moved / "more").mkdir()
    (moved / "helper.py").rename(moved / "more" / "helper.py")
    assert set(own_modules(["mine.Net"])) == {"mine", "base", "late"}
    monkeypatch.syspath_prepend(moved / "more")
    assert own_modules(["mine.Net"]) == before


def test_a_module_that_is_replaced_by_a_package(tree):
    before = own_modules(["mine.Net"])
    write(tree, {"helper/__init__.py": TREE["helper.py"]})
    assert own_modules(["mine.Net"]) == before  # the package wins, and says the same
    write(tree, {"helper/__init__.py": "SCALE = 2.0\n"})
    assert own_modules(["mine.Net"]) != before


def test_a_module_that_was_not_there(tree):
    write(tree, {"maker.py": "try:\n    import fast_way\nexcept ImportError:\n    fast_way = None\n"})
    assert set(own_modules(["maker.make"])) == {"maker"}
    write(tree, {"fast_way.py": ""})
    assert set(own_modules(["maker.make"])) == {"maker", "fast_way"}


def test_a_namespace_in_a_namespace(tree):
    assert set(own_modules(["space.below.two.Net"])) == {"space.below.two"}


@pytest.mark.parametrize(
    "name", ["torch.nn.Linear", "os.path.join", "bakeoff.models.mlp", "no_such.Net", "json.x", "a"]
)
def test_what_is_not_the_users_own(tree, name):
    assert own_modules([name]) == {}


def test_a_module_that_hides_one_of_pythons(tree):
    write(tree, {"user.py": "import wave\n", "wave.py": "X = 1\n"})
    assert set(own_modules(["user.f"])) == {"user", "wave"}


def install(folder, *, version="1.0", name="Thing-Kit", package="thing_kit", url=None):
    write(
        folder,
        {
            f"{package}/__init__.py": "from thing_kit import part\n",
            f"{package}/part.py": "X = 1\n",
            "thing_kit.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            "thing_kit.dist-info/RECORD": f"{package}/__init__.py,,\n{package}/part.py,,\n",
            "thing_kit.dist-info/top_level.txt": f"{package}\n",
        },
    )
    if url is not None:
        (folder / "thing_kit.dist-info" / "direct_url.json").write_text(json.dumps(url))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of installed packages."""
    from bakeoff.runs import module_specs

    folder = tmp_path / "lib" / "site-packages"
    folder.mkdir(parents=True)
    monkeypatch.syspath_prepend(folder)
    module_specs._version.cache_clear()
    yield folder
    module_specs._version.cache_clear()


@pytest.mark.parametrize("name", ["thing-kit", "other-name"])
def test_what_is_installed_counts_by_its_version(tree, site, name):
    install(site, name=name)
    write(tree, {"user.py": "from thing_kit.part import X\n"})
    assert own_modules(["user.f"]) == own_modules(["user.f"]) | {"thing_kit": f"{name}==1.0"}
    assert own_modules(["thing_kit.Net"]) == {"thing_kit": f"{name}==1.0"}


@pytest.mark.parametrize(
    "url", [{"url": "file:///x", "dir_info": {}}, {"url": "file:///x", "dir_info": {"editable": True}}]
)
def test_what_was_installed_from_a_folder_is_the_users_own(tree, site, url):
    install(site, url=url)
    assert set(own_modules(["thing_kit.Net"])) == {"thing_kit", "thing_kit.part"}


def test_what_belongs_to_no_distribution_is_the_users_own(tree, site):
    write(site, {"loose.py": "X = 1\n"})
    before = own_modules(["loose.Net"])
    assert set(before) == {"loose"}
    write(site, {"loose.py": "X = 2\n"})
    assert own_modules(["loose.Net"]) != before


def test_a_module_in_a_zip_file(tree, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("zipped.py", "import helper\n")
    monkeypatch.syspath_prepend(tmp_path / "code.zip")
    assert {"zipped", "helper"} <= set(own_modules(["zipped.Net"]))


def test_a_compiled_module_counts_by_its_content(tree):
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    (tree / f"fast{suffix}").write_bytes(b"\x7fELF 1")
    before = own_modules(["fast.f"])
    assert set(before) == {"fast"}
    (tree / f"fast{suffix}").write_bytes(b"\x7fELF 2")
    assert own_modules(["fast.f"]) != before


def test_a_process_has_what_it_has_imported(tree):
    before = own_modules(["mine.Net"])
    importlib.import_module("mine")
    assert own_modules(["mine.Net"]) == before
    (tree / "helper.py").write_text("SCALE = 2.0\n")
    (tree / "late.py").write_text("X = 2\n")  # imported by nobody yet
    assert changed_modules() == [str(tree / "helper.py")]
    now = own_modules(["mine.Net"])
    assert now["helper"] == before["helper"]
    assert "pack.deep.inner" in now
    assert now["late"] != before["late"]
    importlib.reload(sys.modules["helper"])
    assert own_modules(["mine.Net"])["helper"] != before["helper"]
    assert changed_modules() == []
    (tree / "helper.py").write_text("SCALE = 2.0  # the same\n")
    assert changed_modules() == []


def test_another_module_of_the_same_name(tree, tmp_path, monkeypatch):
    importlib.import_module("helper")
    before = own_modules(["helper.f"])
    del sys.modules["helper"]
    write(tmp_path / "other", {"helper.py": "SCALE = 3.0\n"})
    monkeypatch.syspath_prepend(tmp_path / "other")
    importlib.import_module("helper")
    assert own_modules(["helper.f"]) != before
    assert changed_modules() == []


def test_a_script(tree, monkeypatch):
    module = type(sys)("a_script")
    module.__file__ = str(tree / "helper.py")
    monkeypatch.setitem(sys.modules, "a_script", module)
    module.__spec__ = None
    assert find_spec("a_script").origin == str(tree / "helper.py")
    assert "a_script" in own_modules(["a_script.Net"])

"""Every private name of a library that this package uses is listed, and is in the installed version what we rely on."""

import ast
import inspect
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.loops import fetchers, training_epoch_loop
from packaging.requirements import Requirement
from torch.utils.tensorboard import SummaryWriter

import bakeoff.data
import bakeoff.module
from bakeoff.module.private_api import PRIVATE_API, DataFetcher, DataLoaderIterDataFetcher, TrainingEpochLoop

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "bakeoff"
LIBRARIES = {"lightning", "hydra", "torch", "tensorboard", "torchmetrics", "torchvision", "omegaconf"}
ALLOWED = {path: set(PRIVATE_API) for path in ("module/loop.py", "module/logged_values.py", "module/private_api.py")}
ALLOWED["data/batches.py"] = {"_version"}
EXEMPT = "optim/"  # lists the private functions of torch that it uses itself
PUBLIC = {"_replace", "_asdict", "_fields", "_make"}  # of Python's named tuples


def parameters(function) -> list[str]:
    return list(inspect.signature(function).parameters)


def check_epoch_loop():
    assert TrainingEpochLoop is training_epoch_loop._TrainingEpochLoop
    assert parameters(TrainingEpochLoop.__init__) == ["self", "trainer", "min_steps", "max_steps"]
    for name in ("advance", "on_run_start", "on_advance_end"):
        assert parameters(getattr(TrainingEpochLoop, name)) == ["self", "data_fetcher"]
    assert parameters(TrainingEpochLoop.on_save_checkpoint) == ["self"]
    assert parameters(TrainingEpochLoop.on_load_checkpoint) == ["self", "state_dict"]
    assert parameters(TrainingEpochLoop.reset_restart_stage) == ["self"]
    assert parameters(TrainingEpochLoop.update_lr_schedulers) == ["self", "interval", "update_plateau_schedulers"]
    loop: Any = pl.Trainer(logger=False, barebones=True).fit_loop.epoch_loop
    assert type(loop) is TrainingEpochLoop
    assert (loop.restarting, loop.restarted_on_last, loop.val_loop.restarting) == (False, False, False)
    assert (loop.batch_idx, loop.batch_progress.current.ready, loop.batch_progress.is_last_batch) == (-1, 0, False)
    for progress in (loop.batch_progress, loop.automatic_optimization.optim_progress.optimizer.zero_grad):
        for name in ("increment_ready", "increment_started", "increment_completed"):
            assert parameters(getattr(progress, name)) == []
    assert parameters(loop.batch_progress.increment_processed) == []
    assert parameters(loop.batch_progress.increment_by) == ["n", "is_last_batch"]
    assert parameters(loop.automatic_optimization.optim_progress.optimizer.step.increment_completed) == []


def check_fetcher():
    assert DataFetcher is fetchers._DataFetcher
    assert isinstance(vars(DataFetcher)["combined_loader"], property)
    fetcher = DataFetcher()
    assert (fetcher.fetched, fetcher.done) == (0, False)


def check_iterator_fetcher():
    assert DataLoaderIterDataFetcher is fetchers._DataLoaderIterDataFetcher
    assert issubclass(DataLoaderIterDataFetcher, DataFetcher)


def check_profiler_hooks(name):
    assert parameters(getattr(DataFetcher(), name)) == []
    assert f"self.{name}()" in inspect.getsource(DataFetcher.__next__)  # called there; may be replaced


def check_validation_decision():
    assert parameters(TrainingEpochLoop._should_check_val_fx) == ["self", "data_fetcher"]
    assert "self._should_check_val_fx(data_fetcher)" in inspect.getsource(TrainingEpochLoop.on_advance_end)


def check_batch_transfer():
    assert parameters(pl.LightningModule._on_before_batch_transfer) == ["self", "batch", "dataloader_idx"]


def check_logger_connector():
    connector = pl.Trainer(logger=False, barebones=True)._logger_connector
    assert parameters(connector.on_batch_start)[0] == "batch"
    assert parameters(connector.on_batch_end) == []
    assert parameters(connector.update_train_step_metrics) == []
    assert parameters(connector.log_metrics) == ["metrics", "step"]


def check_results():
    results = pl.Trainer(logger=False, barebones=True).fit_loop.epoch_loop._results
    assert isinstance(results, dict)
    assert not results
    assert hasattr(results, "batch")
    assert hasattr(results, "batch_size")


def check_current_hook():
    module = pl.LightningModule()
    assert vars(module)["_current_fx_name"] is None  # in its own dictionary: no property, no parameter
    assert "self._current_fx_name" in inspect.getsource(pl.LightningModule.log)


def check_version():
    x = torch.zeros(4)
    with torch.inference_mode():
        x[1:].add_(1)
    assert x._version == 1


def check_file_writer():
    assert parameters(SummaryWriter._get_file_writer) == ["self"]
    source = inspect.getsource(SummaryWriter)
    assert source.count("self.file_writer = FileWriter(") == 1  # made there, and nowhere else
    assert "self._get_file_writer().add_summary(" in source


CHECKS = {
    "_get_file_writer": check_file_writer,
    "_version": check_version,
    "_TrainingEpochLoop": check_epoch_loop,
    "_DataFetcher": check_fetcher,
    "_DataLoaderIterDataFetcher": check_iterator_fetcher,
    "_start_profiler": lambda: check_profiler_hooks("_start_profiler"),
    "_stop_profiler": lambda: check_profiler_hooks("_stop_profiler"),
    "_should_check_val_fx": check_validation_decision,
    "_on_before_batch_transfer": check_batch_transfer,
    "_logger_connector": check_logger_connector,
    "_results": check_results,
    "_current_fx_name": check_current_hook,
}


def test_every_private_name_has_a_check_and_a_reason():
    assert set(CHECKS) == set(PRIVATE_API)
    assert all(len(reason) > 10 for reason in PRIVATE_API.values())


@pytest.mark.parametrize("name", PRIVATE_API)
def test_the_installed_lightning_has_it(name):
    CHECKS[name]()


def test_the_installed_lightning_is_one_that_the_package_allows():
    pinned = re.search(r'"(lightning>=[^"]+)"', (ROOT / "pyproject.toml").read_text())
    assert pinned
    assert "<" in pinned[1]
    assert version("lightning") in Requirement(pinned[1]).specifier


def is_private(name: object) -> bool:
    """`_x`, but neither `__x__` nor a key of Hydra such as `_target_`."""
    return isinstance(name, str) and name.startswith("_") and not name.endswith("_") and name not in PUBLIC


def defined_in(tree: ast.AST) -> set[str]:
    """The names that a file defines: functions, classes, variables and attributes of `self`."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found |= {node.attr} if ast.unparse(node.value) in ("self", "cls") else set()
    return found


def private_imports(tree: ast.AST) -> set[str]:
    """Private modules and names imported from the libraries."""
    found = set()
    for node in ast.walk(tree):
        paths = []
        if isinstance(node, ast.Import):
            paths = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            paths = [f"{node.module}.{alias.name}" for alias in node.names]
        for path in paths:
            if path.split(".")[0] in LIBRARIES:
                found |= {name for name in path.split(".") if is_private(name)}
    return found


def private_attributes(tree: ast.AST) -> set[str]:
    """Private names that are read or set as `x._y`, `vars(x)["_y"]` or `getattr(x, "_y")`."""
    found: set[object] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            of_vars = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "vars"
            if of_vars or ast.unparse(node.value).endswith("__dict__"):
                found.add(node.slice.value)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr", "delattr"):
            found |= {argument.value for argument in node.args[1:2] if isinstance(argument, ast.Constant)}
    return {str(name) for name in found if is_private(name)}


def private_names_of_others(source: str) -> set[str]:
    """Private names that a file uses and does not define."""
    tree = ast.parse(source)
    return private_imports(tree) | private_attributes(tree) - defined_in(tree)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("from lightning.pytorch.loops.fetchers import _DataFetcher", {"_DataFetcher"}),
        ("from hydra._internal.hydra import Hydra", {"_internal"}),
        ("import torch._inductor.config as config", {"_inductor"}),
        ("trainer._signal_connector.register = None", {"_signal_connector"}),
        ("class A(B):\n    def f(self):\n        return self._x", {"_x"}),
        ("class A(B):\n    def f(self):\n        self._x = 1\n        return self._x", set()),
        ("vars(module)['_current'] = 1", {"_current"}),
        ("getattr(job, '_return_value', None)", {"_return_value"}),
        ("settings.loss._target_; settings['_target_']; sample._replace(a=1); x.__dict__", set()),
        ("from bakeoff.losses._checks import align", set()),
    ],
)
def test_the_search_finds_private_names(source, found):
    assert private_names_of_others(source) == found


FILES = [str(path.relative_to(SOURCE)) for path in sorted(SOURCE.rglob("*.py"))]


@pytest.mark.parametrize("path", [path for path in FILES if not path.startswith(EXEMPT)])
def test_no_other_private_name_is_used(path):
    found = private_names_of_others((SOURCE / path).read_text())
    assert found <= ALLOWED.get(path, set())


def test_every_name_listed_is_used():
    used = set().union(*(private_names_of_others((SOURCE / path).read_text()) for path in ALLOWED))
    overridden = {"_should_check_val_fx", "_get_file_writer"}  # of which there are own versions
    assert used | overridden == set(PRIVATE_API)


def our_classes() -> list[type]:
    """The classes of `data` and `module` that derive from one of a library."""
    found = []
    for package in (bakeoff.data, bakeoff.module):
        for path in sorted(Path(package.__path__[0]).glob("*.py")):
            module = import_module(f"{package.__name__}.{path.stem}")
            found += [c for c in vars(module).values() if inspect.isclass(c) and c.__module__ == module.__name__]
    return [c for c in found if any(base.__module__.split(".")[0] in LIBRARIES for base in c.__mro__)]


@pytest.mark.parametrize("kind", our_classes(), ids=lambda kind: kind.__name__)
def test_no_private_name_of_ours_hides_one_of_a_base_class(kind):
    own = {name for name in defined_in(ast.parse(inspect.getsource(kind))) if is_private(name)}
    theirs: set[str] = set()
    for base in kind.__mro__:
        if base.__module__.split(".")[0] in LIBRARIES:
            theirs |= set(vars(base)) | set(re.findall(r"\bself\.(_\w+)", inspect.getsource(base)))
    assert own & theirs <= set(PRIVATE_API)

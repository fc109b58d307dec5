"""Every private name of Lightning, and two of torch, that this package uses, each with its reason.

`loop.py` and `logged_values.py` alone use those of Lightning, `data/batches.py` and `train/summary_writer.py` those of
torch. They bind the package to one minor version of Lightning, hence the upper bound in `pyproject.toml`.
`tests/module/test_private_api.py` holds each name against the installed version, and fails where another file uses a
private name of Lightning, Hydra, torch or TensorBoard.
"""

from lightning.pytorch.loops.fetchers import _DataFetcher as DataFetcher
from lightning.pytorch.loops.fetchers import _DataLoaderIterDataFetcher as DataLoaderIterDataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop as TrainingEpochLoop

__all__ = ["PRIVATE_API", "DataFetcher", "DataLoaderIterDataFetcher", "TrainingEpochLoop"]

PRIVATE_API = {
    "_TrainingEpochLoop": "the lean loop replaces its `advance`, and keeps its counters, validation and checkpoints",
    "_DataFetcher": "what Lightning passes to the loop: the batches, and the loaders behind them",
    "_DataLoaderIterDataFetcher": "a fetcher that passes its iterator to `training_step`: the lean loop falls back",
    "_start_profiler": "called around every fetch; replaced by a function that does nothing, as no profiler is in use",
    "_stop_profiler": "as `_start_profiler`",
    "_should_check_val_fx": "decides after each batch whether to validate; no option of `Trainer` expresses our budget",
    "_on_before_batch_transfer": "calls the hook of the data module or of the module, whichever overrides it",
    "_logger_connector": "collects what `self.log` logs: called when a batch starts, for values, and for their step",
    "_results": "what `self.log` has logged in this batch; the connector is called only if there is something",
    "_get_file_writer": "gives torch's `SummaryWriter` a file; ours is the one of the run",
    "_version": "counts the changes of a tensor in place: the data in memory must have none",
    "_current_fx_name": "where `self.log` reads which hook it is called from",
}

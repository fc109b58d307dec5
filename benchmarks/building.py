"""What composing and building a run costs, beside training it: the demo's 81 runs.

    make demo && python benchmarks/building.py outputs/demo

In a sweep each run is composed once and built twice: first to check it, when nothing is trained yet, and again by the
worker that trains it. CPU time of one process.
"""

import argparse
import json
import time
from itertools import product
from pathlib import Path
from statistics import median

import hardware
import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import open_dict

from bakeoff.launch.register import register_with_hydra
from bakeoff.launch.search_path import package_conf
from bakeoff.train import prepare

DEMO = {
    "optimizer": ["sgd", "rmsprop", "adam"],
    "loss": ["cross_entropy", "mse", "hinge"],
    "batch_size": ["16", "128", "full"],
    "seed": ["0", "1", "2"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sweep", type=Path, help="a trained demo, whose runs the times are compared with")
    sweep = parser.parse_args().sweep
    print(hardware.describe())
    jobs = [[f"{k}={v}" for k, v in zip(DEMO, values, strict=True)] for values in product(*DEMO.values())]
    composing, building = times([[*job, "experiment=demo"] for job in jobs])
    trained = sum(json.loads(path.read_text())["seconds"] for path in sweep.glob("*/seed=*/outcome.json"))
    print(f"\n{len(jobs)} runs, trained in {trained:.1f} s; CPU time of the median run, in ms")
    print(f"  composed in {1e3 * median(composing):.1f}, built in {1e3 * median(building):.1f}")
    print(f"  building them once more took {sum(building):.2f} s, {sum(building) / trained:.1%} of the training")


def times(jobs: list[list[str]]) -> tuple[list[float], list[float]]:
    """CPU seconds of composing and building each job; the first one, which imports and reads data, is done before."""
    register_with_hydra()
    composing, building = [], []
    with hydra.initialize_config_dir(str(package_conf()), version_base="1.3"):
        loader = GlobalHydra.instance().config_loader()
        base = loader.load_configuration("bakeoff", [], run_mode=RunMode.MULTIRUN)
        for number, job in enumerate([jobs[0], *jobs]):
            started = time.process_time()
            config = loader.load_sweep_config(base, job)
            with open_dict(config):
                config.hydra.job.id = config.hydra.job.num = number
            composed = time.process_time()
            HydraConfig.instance().set_config(config)
            _ = prepare(config, job, loader).identity
            composing.append(composed - started)
            building.append(time.process_time() - composed)
    return composing[1:], building[1:]


if __name__ == "__main__":
    main()

"""The hook by which Hydra finds our launcher: `hydra/launcher=bakeoff`. It changes nothing in other applications."""

from hydra.core.config_store import ConfigStore

from bakeoff.launch.launcher import SweepLauncher


class BakeoffLauncher(SweepLauncher):
    """The launcher under the name that Hydra's plugin rules ask for."""


ConfigStore.instance().store(
    group="hydra/launcher",
    name="bakeoff",
    node={
        "_target_": "hydra_plugins.bakeoff_launcher.BakeoffLauncher",
        "engine": "local",  # this machine; ray: a Ray cluster; submitit: Slurm
        "ray": {"address": "auto", "actor": {"num_cpus": None, "num_gpus": None, "resources": None}},
        # null is left to submitit, or to the cluster; others of submitit's parameters are added with a +
        "submitit": {
            "cluster": "slurm",
            "folder": None,
            "timeout_min": None,
            "cpus_per_task": None,
            "gpus_per_node": None,
            "mem_gb": None,
            "slurm_partition": None,
            "slurm_account": None,
            "slurm_qos": None,
            "slurm_constraint": None,
            "slurm_setup": None,
        },
    },
    provider="bakeoff",
)

"""A Ray cluster of two nodes on this machine, in a process of its own: says its address, then does as it is told.

kill    the second node dies at once, with all that runs on it
quit    the end
"""

import sys
from typing import Any

from ray.cluster_utils import Cluster

# 127.0.0.1 Ray would replace by an address that others reach
NODE: dict[str, Any] = {
    "num_cpus": 1,
    "include_dashboard": False,
    "node_ip_address": "127.0.0.2",
    "object_store_memory": 80 * 2**20,
}
# how soon a dead node is noticed: 3 s in place of 15
HEALTH = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 1000,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}


def main():
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "_system_config": HEALTH})
    second = cluster.add_node(**NODE)
    print(f"address {cluster.address}", flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(second, allow_graceful=False)
            print("killed", flush=True)
        else:
            break
    cluster.shutdown()


if __name__ == "__main__":
    main()

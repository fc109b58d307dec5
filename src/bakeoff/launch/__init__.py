"""How Hydra launches runs: the task of one run, the launcher of a sweep, the leaderboard after it."""

"""From the records that runs leave on disk to tables and curves; needs no torch and no Lightning.

`records` reads a sweep folder, `arms` groups and names what it holds, `ranking` orders it, `leaderboard` prints it,
`filters` picks runs and `runs_table` lists them, `runs_csv` writes them as CSV, `repeat` tells the command of one,
`curves` reads its event files. `bakeoff-report` is the main function of `command`, `bakeoff-runs` of `runs_command`.
"""

"""From the records that runs leave on disk to tables and curves; needs no torch and no Lightning.

`records` reads a sweep folder, `arms` groups and names what it holds, `ranking` orders it, `leaderboard` prints it,
`runs_csv` writes it as CSV, `curves` reads the event files of one run, `command` is the console script
`bakeoff-report`.
"""

"""`python -m bakeoff` is the command `bakeoff`."""

from bakeoff.app import main

if __name__ == "__main__":
    main()

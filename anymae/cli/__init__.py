"""The command line: the verbs of the Python interface, one file each group.

Exit status: 0 done; 2 bad usage or bad input, in one line; 3 diverged; 130 interrupted.
"""

from anymae.cli.main import main

__all__ = ["main"]

"""What a contest leaves: a file with its command, machine and rows.

Peak memory needs a process of its own for every entrant:

    python -m anymae.benchmarks.speed.record CONTEST ENTRANT [--threads 1] [--device cpu]

prints this process's peak MiB after three steps.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from anymae.benchmarks.speed.contest import Contest, measure
from anymae.benchmarks.speed.machine import machine
from anymae.benchmarks.speed.measure import CPU, own_peak_mib, peak_mib

MODULE = "anymae.benchmarks.speed.record"


def recorded(
    contest: Contest, rounds: int, threads: int, device: torch.device, out: Path
) -> dict[str, Any]:
    """Measure a contest and keep the result in the folder ``out`` as ``NAME.json``."""
    place = ("--threads", str(threads), "--device", str(device))

    def memory(entrant: str) -> float:
        return peak_mib(MODULE, contest.name, entrant, *place)

    return kept(measure(contest, rounds, threads, device, memory), contest.name, out)


def kept(result: dict[str, Any], name: str, out: Path) -> dict[str, Any]:
    """A result with the command and the machine it came from, written to ``out`` as
    ``NAME.json``."""
    whole = {"command": f"anymae bench --suite {name}", **result, "machine": machine()}
    (out / f"{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
    return whole


def main() -> None:
    """See the module's docstring."""
    from anymae.benchmarks.suite import contests

    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("contest")
    parser.add_argument("entrant")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", type=torch.device, default=CPU)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    step = contests()[options.contest].entrants[options.entrant].build(options.device)
    for _ in range(3):
        step()
    print(own_peak_mib(options.device))


if __name__ == "__main__":
    main()

"""The suite: every benchmark by its name, and what runs it.

Speed: a module of ``speed/`` with ``CONTESTS``, or with ``run(budget, out)``, which then goes by
its module's name. Quality: a module of ``quality/`` with ``main(arguments)`` and, for whoever runs
all, ``RUNS``: of each of its runs the folder of the data under a common root, and what else its
command line needs. A file dropped into either folder is a benchmark.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import torch

import anymae.benchmarks.quality
import anymae.benchmarks.speed
from anymae.benchmarks.budgets import BUDGETS, Budget
from anymae.benchmarks.speed.contest import Contest, show
from anymae.benchmarks.speed.record import recorded
from anymae.errors import BadConfig
from anymae.training.distributed import pick_device


@dataclass(frozen=True)
class Script:
    """A benchmark that is a module of its own."""

    name: str
    about: str
    module: ModuleType


def contests() -> dict[str, Contest]:
    """Every contest of speed by its name."""
    found = (getattr(module, "CONTESTS", ()) for module in _modules(anymae.benchmarks.speed))
    return {contest.name: contest for declared in found for contest in declared}


def speeds() -> dict[str, Contest | Script]:
    """Every benchmark of speed by its name."""
    return {**contests(), **_scripts(anymae.benchmarks.speed, "run")}


def qualities() -> dict[str, Script]:
    """Every benchmark of quality by its name: a data set, a recipe and a protocol."""
    return _scripts(anymae.benchmarks.quality, "main")


def listed() -> list[tuple[str, str]]:
    """The name of every benchmark, and what it is in one line."""
    return [(name, " ".join(one.about.split())) for name, one in (speeds() | qualities()).items()]


def run(
    name: str,
    budget: str,
    *,
    data: Path | None = None,
    against: str | None = None,
    out: Path,
    rest: Sequence[str] = (),
) -> None:
    """Run the benchmark of a name, or all of ``speed`` or ``quality``, and keep what came of it in
    the folder ``out``. ``data`` is what a benchmark of quality calls DATA, or the folder of all
    sets; ``rest`` are further options of it. Raises ``BadConfig``."""
    if budget not in BUDGETS:
        raise BadConfig("unknown budget", found=repr(budget), expected=", ".join(BUDGETS))
    pick_device(BUDGETS[budget].device)
    speed, quality = speeds(), qualities()
    peers = {entrant.peer for one in contests().values() for entrant in one.entrants.values()}
    if against not in peers:  # None is among them: anymae is nobody's peer
        known = ", ".join(sorted(peer for peer in peers if peer))
        raise BadConfig("unknown peer", found=repr(against), expected=known)
    out.mkdir(parents=True, exist_ok=True)
    if name in ("speed", *speed):
        place = BUDGETS[budget].device
        sized = [one for one in speed.values() if getattr(one, "device", place) == place]
        for one in sized if name == "speed" else [speed[name]]:
            _speed(one, BUDGETS[budget], against, out)
    elif name in ("quality", *quality):
        if data is None:
            raise BadConfig(f"{name} needs data", hint="Say where they are: --data DIR")
        if name == "quality":
            for one in quality.values():
                _all_runs(one, budget, data, out, rest)
        else:
            _quality(quality[name], name, budget, [str(data), *rest], out)
    else:
        known = ", ".join(("speed", "quality", *speed, *quality))
        raise BadConfig("unknown benchmark", found=repr(name), expected=known)


def _speed(one: Contest | Script, budget: Budget, against: str | None, out: Path) -> None:
    if isinstance(one, Script):
        if against is None:
            one.module.run(budget, out)
        return
    contest = one if against is None else one.against(against)
    if contest.entrants.keys() & {name for e in contest.entrants.values() for name in e.against}:
        show(recorded(contest, budget.rounds, 1, torch.device(budget.device), out))


def _all_runs(one: Script, budget: str, root: Path, out: Path, rest: Sequence[str]) -> None:
    for folder, *further in getattr(one.module, "RUNS", ()):
        if (root / folder).exists():
            label = "-".join([one.name, *further])
            _quality(one, label, budget, [str(root / folder), *further, *rest], out)


def _quality(one: Script, label: str, budget: str, words: list[str], out: Path) -> None:
    places = ["--out", str(out / label), "--json", str(out / f"{label}.json")]
    one.module.main([*words, "--budget", budget, *places])


def _scripts(package: ModuleType, entry: str) -> dict[str, Script]:
    """The modules of a package that have the function ``entry``."""
    found = {}
    for module in _modules(package):
        if callable(getattr(module, entry, None)):
            name = module.__name__.rpartition(".")[2]
            found[name] = Script(name, (module.__doc__ or "").partition("\n\n")[0], module)
    return found


def _modules(package: ModuleType) -> list[ModuleType]:
    names = sorted(one.name for one in pkgutil.iter_modules(package.__path__))
    return [import_module(f"{package.__name__}.{name}") for name in names]

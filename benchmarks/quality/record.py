"""What all benchmarks of quality share: the command line, the rows, and the record they leave."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import anymae
from anymae.benchmarks.budgets import BUDGETS
from anymae.benchmarks.speed.machine import machine
from anymae.data.sources import open_source
from anymae.evaluation.judging import Judge, Truth
from anymae.evaluation.metrics import metric_of
from anymae.evaluation.protocols import Protocol
from anymae.evaluation.raw import raw_view
from anymae.evaluation.scores import Score, Scores
from anymae.evaluation.views import random_twin, standardised
from anymae.report.artifacts import save_scores

_UNSAID = ("data", "out", "json", "budget", "help")
"""Arguments that a record leaves out: where things lie differs from machine to machine, and what a
budget decides is said by itself."""


class Benchmark:
    """A command line with ``DATA``, ``--steps``, ``--budget``, ``--out`` and ``--json``, and the
    record of what came of it.

    ``name`` is the module's, without its package; ``doc`` the module's docstring; ``steps`` are
    taken within the budget ``laptop``.
    """

    def __init__(self, name: str, doc: str | None, steps: int) -> None:
        self.name, self.steps = name, steps
        self.parser = argparse.ArgumentParser(description=(doc or "").splitlines()[0])
        self.parser.add_argument("data", type=Path)
        self.parser.add_argument("--out", type=Path, default=Path("runs") / name)
        self.parser.add_argument("--json", type=Path)
        self.parser.add_argument("--steps", type=int)
        self.parser.add_argument("--budget", choices=BUDGETS, default="laptop")

    def option(self, *names: str, **kind: Any) -> None:
        """One more argument, as ``argparse`` takes it."""
        self.parser.add_argument(*names, **kind)

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """The options in ``arguments`` (None: of this process), with the budget's steps where none
        are given."""
        options = self.parser.parse_args(arguments)
        if options.steps is None:
            options.steps = max(1, round(self.steps * BUDGETS[options.budget].steps))
        return options

    def command(self, options: argparse.Namespace) -> str:
        """The command that gives this result again, wherever the data lie."""
        words = ["python", "-m", f"anymae.benchmarks.quality.{self.name}", "DATA"]
        for action in self.parser._actions:
            if action.dest not in _UNSAID:
                words += _words(action, getattr(options, action.dest))
        return " ".join(words)

    def record(self, options: argparse.Namespace, result: dict[str, Any]) -> None:
        """Print the result with the machine it came from; write it where ``--json`` says."""
        whole = {"command": self.command(options), **result, "machine": machine()}
        text = json.dumps(whole, indent=1)
        print(text)
        if options.json:
            options.json.write_text(text + "\n")


def _words(action: argparse.Action, value: Any) -> list[str]:
    if value is None or value is False:
        return []
    values = [] if value is True else value if isinstance(value, list) else [value]
    return [*action.option_strings[:1], *(str(v) for v in values)]


def shown(score: Score | Scores, *details: str) -> dict[str, Any]:
    """A score, its interval and the named details of it, as JSON."""
    found = {"value": score.value, "interval": list(score.interval)}
    return found | {name: score.details[name] for name in details}


def row(scores: Scores, *details: str) -> dict[str, Any]:
    """Scores of the pretrained encoder, of raw features and of random encoders, as JSON."""
    kinds: dict[str, Score | Scores] = {
        "pretrained": scores,
        "raw": scores.raw,
        "random_init": scores.random_init,
    }
    return {name: shown(score, *details) for name, score in kinds.items()}


def judged_features(
    run: anymae.Run,
    features: Callable[[anymae.Model, Any], Tensor],
    train: tuple[Any, NDArray[np.int64]],
    test: tuple[Any, NDArray[np.int64]],
    protocols: Mapping[str, Protocol],
    seed: int = 0,
    twins: int = 3,
) -> dict[str, Any]:
    """As ``evaluate`` does it, for classes and feature vectors that ``features(model, samples)``
    takes in a way of its own, float32 (n, d); ``twins`` encoders are random."""
    y, y_test = torch.from_numpy(train[1]), torch.from_numpy(test[1])
    truth = Truth("classification", y, y_test, int(y.max()) + 1)
    models = [run.model, *(random_twin(run.model, seed + 1 + i) for i in range(twins))]
    views = [standardised(features(m, train[0]), features(m, test[0])) for m in models]
    adapter = run.model.adapter
    raw = raw_view(adapter, open_source(train[0], adapter), open_source(test[0], adapter))[0]
    rows = {}
    for name, protocol in protocols.items():
        judge = Judge(protocol, truth, metric_of("classification"), seed)
        kinds = {"pretrained": views[:1], "raw": [raw], "random_init": views[1:]}
        rows[name] = {kind: shown(judge.judged(found).score) for kind, found in kinds.items()}
        print(name, json.dumps(rows[name]), flush=True)
    return rows


def judged(
    run: anymae.Run,
    train: Any,
    test: Any,
    protocols: Sequence[str] | Mapping[str, Any],
    **reading: Any,
) -> dict[str, Any]:
    """``evaluate`` by every protocol (named by itself, or by a key), with its options ``reading``;
    the run's report shows them."""
    named = protocols if isinstance(protocols, Mapping) else {name: name for name in protocols}
    rows = {}
    for name, protocol in named.items():
        scores = anymae.evaluate(run.model, train, test, protocol=protocol, **reading)
        save_scores(run.path, name, scores)
        print(scores, flush=True)
        rows[name] = row(scores)
    run.report()
    return rows

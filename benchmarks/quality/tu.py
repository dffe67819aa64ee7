"""GraphMAE on TU graph sets: a support vector machine on frozen features, ten-fold.

    python -m anymae.benchmarks.quality.tu DATA NAME [--steps N] [--seeds N] [--json FILE]

DATA is a folder with ``mutag.npz``, ``proteins.npz``, ``nci1.npz`` and ``imdb_binary.npz``: nodes
and edges of all graphs end to end (``node_offsets``, ``edge_offsets``, ``edge_index_local``,
``node_tag``) and their labels ``y``; NAME is one of these. Encoder 128 x 4, pretrained on all
graphs without labels. Protocol of GraphMAE: per fold, C of an RBF machine from 1e-3 to 10 by five
inner folds; the mean over ten stratified folds. Features are the sum, mean and maximum of the
nodes' features, standardised. The same is said of an encoder with random weights.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import anymae
from anymae.benchmarks.quality.record import Benchmark
from anymae.evaluation.views import random_twin
from anymae.modalities.graph.graph import Graph

ENCODER = anymae.EncoderConfig(
    width=128, depth=4, heads=4, mlp_ratio=2.0, cls=False, layout="edges"
)
COSTS = (1e-3, 1e-2, 1e-1, 1.0, 10.0)


def read(path: Path) -> tuple[list[Graph], NDArray[np.int64]]:
    """Graphs with their tags as categories (their degrees, where all tags are one), and labels."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    tags = arrays["node_tag"].astype(np.int64)
    tagged = len(np.unique(tags)) > 1
    nodes, edges = (list(pairwise(arrays[k])) for k in ("node_offsets", "edge_offsets"))
    graphs = [
        Graph.of(tags[a:b] if tagged else None, arrays["edge_index_local"][:, c:d], nodes=b - a)
        for (a, b), (c, d) in zip(nodes, edges, strict=True)
    ]
    return graphs, arrays["y"].astype(np.int64)


def features(model: anymae.Model, graphs: list[Graph]) -> NDArray[np.float64]:
    """(n, 3 width) sums, means and maxima over nodes, standardised over the graphs."""
    nodes = model.embed(graphs, pool=None)
    rows = np.stack([np.concatenate([x.sum(0), x.mean(0), x.max(0)]) for x in nodes])
    rows = rows.astype(np.float64)
    return (rows - rows.mean(0)) / rows.std(0).clip(1e-6)


def accuracy(x: NDArray[np.float64], y: NDArray[np.int64], seed: int) -> list[float]:
    """Test accuracy of each of ten folds."""
    from sklearn.metrics.pairwise import rbf_kernel
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import SVC

    kernel = rbf_kernel(x, gamma=1 / (x.shape[1] * x.var()))
    found = []
    for train, test in StratifiedKFold(10, shuffle=True, random_state=seed).split(x, y):
        machine = GridSearchCV(SVC(kernel="precomputed"), {"C": COSTS}, cv=5)
        machine.fit(kernel[np.ix_(train, train)], y[train])
        found.append(float(machine.score(kernel[np.ix_(test, train)], y[test])))
    return found


def measure(data: Path, name: str, steps: int, seeds: int, out: Path) -> dict[str, Any]:
    """Pretrain and probe once a seed; returns what is printed and saved."""
    graphs, y = read(data / f"{name}.npz")
    rows = []
    for seed in range(seeds):
        start = time.perf_counter()
        run = anymae.pretrain(
            graphs,
            modality="graph",
            recipe="graphmae",
            size=ENCODER,
            steps=steps,
            batch_size=64,
            seed=seed,
            out=out / f"{name}-{seed}",
            modality_options={"encoding": "rwse"},
        )
        seconds = time.perf_counter() - start
        twin = random_twin(run.model, seed)
        pretrained, random = (accuracy(features(m, graphs), y, seed) for m in (run.model, twin))
        rows.append(
            {
                "seed": seed,
                "pretrained": float(np.mean(pretrained)),
                "folds": pretrained,
                "random_init": float(np.mean(random)),
                "loss": run.history[-1]["loss"],
                "pretraining_seconds": round(seconds, 1),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return {
        "data": name,
        "graphs": len(graphs),
        "steps": steps,
        "accuracy": float(np.mean([row["pretrained"] for row in rows])),
        "accuracy_std_over_seeds": float(np.std([row["pretrained"] for row in rows])),
        "random_init": float(np.mean([row["random_init"] for row in rows])),
        "runs": rows,
    }


NAMES = ("mutag", "proteins", "nci1", "imdb_binary")
RUNS = tuple(("graph_tu", name) for name in NAMES)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("tu", __doc__, steps=500)
    benchmark.option("name", choices=NAMES)
    benchmark.option("--seeds", type=int, default=5)
    options = benchmark.parse(arguments)
    result = measure(options.data, options.name, options.steps, options.seeds, options.out)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()

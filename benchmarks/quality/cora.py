"""GraphMAE on Cora: a linear probe on frozen features of nodes, public split.

    python -m anymae.benchmarks.quality.cora DATA [--steps N] [--seeds N] [--out DIR] [--json FILE]

DATA is a folder with ``cora.npz``: binary features in CSR parts (``x_data``, ``x_indices``,
``x_indptr``, ``x_shape``), ``edge_index``, ``y``, ``train_idx``, ``val_idx``, ``test_idx``. Every
seed trains an encoder on the whole graph without labels, then a logistic regression on the
features of the 140 training nodes, in rows of length one; its strength is chosen on the 500
validation nodes, and the 1,000 test nodes are looked at once. Beside it: the same probe on an
encoder with random weights, on raw features, and on each of these averaged over the graph twice
(SGC).
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import anymae
from anymae.benchmarks.quality.record import Benchmark
from anymae.evaluation.views import random_twin
from anymae.modalities.graph.graph import Graph

ENCODER = anymae.EncoderConfig(
    width=128, depth=6, heads=4, mlp_ratio=0.125, cls=False, layout="edges"
)
OPTIONS: dict[str, Any] = {"feature_dropout": 0.4}
SETTINGS: dict[str, Any] = {
    "decoder.width": 128,
    "decoder.mlp_ratio": 0.5,
    "loss.power": 2.0,
    "training.weight_decay": 0.05,
    "training.betas": (0.9, 0.95),
}
COSTS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)

KINDS = ("pretrained", "pretrained_averaged_twice", "random", "random_averaged_twice")

Features = NDArray[np.float32]
Split = dict[str, NDArray[np.int64]]


def read(path: Path) -> tuple[Graph, Split]:
    """The graph, words weighted by tf-idf in rows of length one, its labels, and the nodes of each
    part."""
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    x = np.zeros(arrays["x_shape"], dtype=np.float32)
    rows = np.repeat(np.arange(len(x)), np.diff(arrays["x_indptr"]))
    x[rows, arrays["x_indices"]] = arrays["x_data"]
    x *= np.log(len(x) / x.sum(0).clip(1))
    x /= np.linalg.norm(x, axis=1, keepdims=True).clip(1e-12)
    split = {part: arrays[f"{part}_idx"].astype(np.int64) for part in ("train", "val", "test")}
    return Graph.of(x, arrays["edge_index"], y=arrays["y"].astype(np.int64)), split


def probe(x: Features, y: NDArray[np.int64], split: Split) -> dict[str, float]:
    """Validation and test accuracy of rows of length one, at the cost that validates best."""
    from sklearn.linear_model import LogisticRegression

    x = x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-12)
    best = {"validation": 0.0, "test": 0.0, "cost": 0.0}
    for cost in COSTS:
        line = LogisticRegression(C=cost, max_iter=1000).fit(x[split["train"]], y[split["train"]])
        found = float(line.score(x[split["val"]], y[split["val"]]))
        if found > best["validation"]:
            test = float(line.score(x[split["test"]], y[split["test"]]))
            best = {"validation": found, "test": test, "cost": cost}
    return best


def averaged(x: Features, graph: Graph, times: int = 2) -> Features:
    """Features averaged over neighbours, with the symmetric normalisation of GCN (SGC, Wu et al.
    2019)."""
    scale = (1.0 + graph.in_degrees.numpy())[:, None] ** -0.5
    for _ in range(times):
        moved = x * scale
        total = moved.copy()
        np.add.at(total, graph.edges[1].numpy(), moved[graph.edges[0].numpy()])
        x = (total * scale).astype(np.float32)
    return x


def measure(data: Path, steps: int, seeds: int, out: Path) -> dict[str, Any]:
    """Pretrain and probe once a seed; returns what is printed and saved."""
    graph, split = read(data / "cora.npz")
    assert graph.x is not None
    rows = []
    for seed in range(seeds):
        start = time.perf_counter()
        run = anymae.pretrain(
            graph,
            modality="graph",
            recipe="graphmae",
            size=ENCODER,
            steps=steps,
            seed=seed,
            out=out / f"{seed}",
            modality_options=OPTIONS,
            **SETTINGS,
        )
        seconds = time.perf_counter() - start
        found = {}
        for name, model in ("pretrained", run.model), ("random", random_twin(run.model, seed)):
            nodes = model.embed(graph, pool=None)[0]
            found[name] = probe(nodes, graph.y, split)
            found[f"{name}_averaged_twice"] = probe(averaged(nodes, graph), graph.y, split)
        row = {"seed": seed, "loss": run.history[-1]["loss"], "seconds": round(seconds, 1)}
        rows.append(row | found)
        print(json.dumps(rows[-1]), flush=True)
    raw = graph.x.numpy()
    return {
        "steps": steps,
        "accuracy": {name: _over_seeds([row[name] for row in rows]) for name in KINDS},
        "raw": probe(raw, graph.y, split),
        "raw_averaged_twice": probe(averaged(raw, graph), graph.y, split),
        "runs": rows,
    }


def _over_seeds(found: list[dict[str, float]]) -> dict[str, float]:
    tests = [one["test"] for one in found]
    return {
        "test": float(np.mean(tests)),
        "std": float(np.std(tests)),
        "validation": float(np.mean([one["validation"] for one in found])),
    }


RUNS = (("graph_nodes",),)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's docstring."""
    benchmark = Benchmark("cora", __doc__, steps=300)
    benchmark.option("--seeds", type=int, default=20)
    options = benchmark.parse(arguments)
    result = measure(options.data, options.steps, options.seeds, options.out)
    benchmark.record(options, result)


if __name__ == "__main__":
    main()

"""The suite: what is declared runs, everybody does the same work, and the page is its files."""

import json
from functools import partial
from importlib import import_module

import pytest
import torch
from torch import nn

from anymae.benchmarks import page, suite
from anymae.benchmarks.budgets import Budget
from anymae.benchmarks.operations import operations
from anymae.benchmarks.peers import graphmae, lightly, padding, transformers
from anymae.benchmarks.speed import images, ragged
from anymae.benchmarks.speed.contest import Contest, Entrant, measure
from anymae.benchmarks.speed.growth import slope
from anymae.benchmarks.speed.measure import CPU
from anymae.benchmarks.speed.shapes import ImageShape, SeriesShape, VideoShape
from anymae.cli.main import main
from anymae.encoder import Encoder, EncoderConfig
from anymae.kernels.attention import dense
from anymae.kernels.segments import Segments

TINY = ImageShape(16, 8, 24, 2, 2, 16, 1, 2, batch=2)


@pytest.mark.parametrize("contest", suite.contests().values(), ids=lambda c: c.name)
def test_every_contest_has_rivals(contest):
    ours = {name for name, entrant in contest.entrants.items() if entrant.peer is None}
    assert ours
    for name in ours:
        rivals = contest.entrants[name].against
        assert rivals
        assert all(contest.entrants[rival].peer for rival in rivals)


def test_all_of_speed_is_what_fits_the_device(monkeypatch, tmp_path):
    ran = []
    monkeypatch.setattr(suite, "_speed", lambda one, *rest: ran.append(one.name))
    suite.run("speed", "laptop", out=tmp_path)
    assert "image-base" in ran
    assert "growth" in ran
    assert "image-base-gpu" not in ran
    ran.clear()
    monkeypatch.setattr(suite, "pick_device", torch.device)  # as if there were a GPU
    suite.run("speed", "gpu", out=tmp_path)
    assert "image-large-gpu" in ran
    assert "kernels" in ran
    assert "image-base" not in ran


@pytest.mark.parametrize("name", suite.qualities())
def test_every_benchmark_of_quality_says_what_it_runs_on(name):
    module = suite.qualities()[name].module
    assert all(len(words) >= 1 for words in module.RUNS)
    assert module.RUNS


@pytest.mark.parametrize(
    "build",
    [
        partial(images.ours, TINY, "fp32", "self"),
        partial(transformers.vitmae, TINY, "fp32", "sdpa"),
        partial(transformers.vitmae, TINY, "bf16", "eager"),
        partial(lightly.mae, TINY, "fp32", True),
        partial(lightly.mae, TINY, "bf16", False),
        partial(
            transformers.videomae,
            VideoShape(32, 4, 2, 16, 2, 24, 1, 2, 16, 1, 2, batch=2),
            "fp32",
            "sdpa",
        ),
        partial(graphmae.training_step, torch.rand(9, 5), torch.randint(9, (2, 30)), "fp32"),
        partial(transformers.patchtst, SeriesShape(48, 2, 12, 24, 1, 2, 0.5, 2), "fp32", "sdpa"),
    ],
)
def test_a_step_moves_weights(build, monkeypatch):
    optimisers = []
    make = torch.optim.AdamW.__init__
    monkeypatch.setattr(
        torch.optim.AdamW,
        "__init__",
        lambda self, *a, **k: (optimisers.append(self), make(self, *a, **k))[1],
    )
    step = build(CPU)
    weights = [p for group in optimisers[0].param_groups for p in group["params"]]
    before = [p.detach().clone() for p in weights]
    step()
    moved = [not torch.equal(a, b) for a, b in zip(before, weights, strict=True)]
    assert sum(moved) > 0.9 * len(moved)
    assert all(bool(p.isfinite().all()) for p in weights)


def test_ours_and_lightly_do_comparable_arithmetic():
    ours = operations(images.ours(TINY, "fp32", "self", CPU))
    theirs = operations(lightly.mae(TINY, "fp32", True, CPU))
    assert 0.5 < ours / theirs < 1.05


def test_ragged_rivals_compute_the_same():
    samples = ragged.samples(5, 3, 20)
    ours = Encoder(EncoderConfig(width=ragged.WIDTH, depth=2, heads=3, cls=False, norm_eps=1e-5))
    theirs = padding.Encoder(ragged.WIDTH, 2, 3)
    for mine, block in zip(theirs.blocks, ours.blocks, strict=True):
        mine.norm_1, mine.norm_2, mine.mlp = block.norm_1, block.norm_2, block.mlp
        mine.qkv, mine.project = block.attention.qkv, block.attention.project
    lengths = [len(one) for one in samples]
    wanted = ours(torch.cat(samples), Segments.of_lengths(lengths)).x
    assert torch.allclose(theirs(samples), wanted, atol=1e-5)
    groups = padding.buckets(samples)
    assert sorted(len(one) for group in groups for one in group) == sorted(lengths)
    assert all(len(g[-1]) <= padding.SLACK * len(g[0]) for g in groups)
    apart = sum(theirs(group).square().sum() for group in groups)
    assert torch.allclose(apart, wanted.square().sum(), rtol=1e-5)


def test_operations_count_products_and_both_attentions():
    layer = nn.Linear(8, 16)
    x = torch.randn(4, 8, requires_grad=True)
    assert operations(lambda: layer(x).sum().backward()) == 3 * 2 * 4 * 8 * 16

    def attend(body):
        q, k, v = (torch.randn(2, 5, 3, 4, requires_grad=True) for _ in range(3))
        return operations(lambda: body(q, k, v).sum().backward())

    assert attend(dense.fused) == attend(dense.plain) == 3 * 2 * 2 * (2 * 3 * 5 * 5 * 4)


def test_a_contest_takes_turns_and_compares_medians():
    turns = []

    def build(name, device):
        return lambda: (turns.append(name), torch.ones(64, 64) @ torch.ones(64, 64))[0]

    contest = Contest(
        "toy",
        "about",
        "things",
        4,
        {
            "mine": Entrant(partial(build, "mine"), "fp32", ("theirs", "others")),
            "theirs": Entrant(partial(build, "theirs"), "fp32", peer="a"),
            "others": Entrant(partial(build, "others"), "fp32", peer="b"),
        },
    )
    found = measure(contest, 2, 1, CPU, memory=lambda name: len(name))
    assert turns[:9] == ["mine", "theirs", "others"] * 3  # a warm-up and two rounds
    assert found["rows"]["mine"]["gflop"] == 2 * 64**3 / 4 / 1e9
    assert found["rows"]["mine"]["peak_mib"] == 4
    assert set(found["rows"]["mine"]["speed_ratio"]) == {"theirs", "others"}
    only = contest.against("b")
    assert set(only.entrants) == {"mine", "others"}


def test_slopes_are_exponents():
    assert slope([(x, 3 * x**1.5) for x in (1, 2, 4, 8)]) == pytest.approx(1.5)


def test_the_page_shows_the_results():
    found = page.tables(page.RESULTS)
    assert page.PAGE.read_text() == page.markdown(found, "benchmarks")
    for table in found:
        assert all(len(row) == len(table.header) for row in table.rows), table.title
        if table.picture is not None:
            assert (page.PAGE.with_suffix("") / page._file(table)).read_bytes() == table.picture


def test_frozen_features_are_found_wherever_they_stand(tmp_path):
    sides = {kind: {"value": v} for kind, v in zip(page.KINDS, (0.9, 0.5, 0.7), strict=True)}
    again = {kind: {"value": v} for kind, v in zip(page.KINDS, (0.7, 0.5, 0.7), strict=True)}
    result = {"runs": [{"accuracy": {"linear": sides}}, {"accuracy": {"linear": again}}]}
    (tmp_path / "toy.json").write_text(json.dumps(result))
    (tmp_path / "one.json").write_text(json.dumps({"mse": {"96": sides}, "other": 3}))
    rows = page.tables(tmp_path)[-1].rows
    assert rows == [
        ("`one.json`", "mse 96", "1", "0.900", "0.500", "0.700"),
        ("`toy.json`", "accuracy linear", "2", "0.800", "0.500", "0.700"),
    ]


def test_the_report_of_a_folder_holds_its_tables(tmp_path):
    (tmp_path / "toy.json").write_text(json.dumps(dict.fromkeys(page.KINDS, 0.5)))
    text = page.write_html(tmp_path).read_text()
    assert "toy.json" in text
    assert "0.500" in text
    assert "<script" not in text


def test_the_command_lists_runs_and_refuses(tmp_path, capsys, monkeypatch):
    assert main(["bench"]) == 0
    listed = capsys.readouterr().out
    assert "image-cifar" in listed
    assert "fsdd" in listed
    assert main(["bench", "--suite", "imagee"]) == 2
    assert "image-cifar" in capsys.readouterr().err
    assert main(["bench", "--suite", "fsdd"]) == 2
    assert "--data" in capsys.readouterr().err
    assert main(["bench", "--suite", "growth", "--against", "lightning"]) == 2
    assert "lightly" in capsys.readouterr().err
    if not torch.cuda.is_available():
        assert main(["bench", "--suite", "growth", "--budget", "gpu"]) == 2
        assert "CUDA" in capsys.readouterr().err
    assert main(["bench", "--suite", "growth", "--budget", "huge"]) == 2
    assert "laptop" in capsys.readouterr().err

    asked = []
    growth = import_module("anymae.benchmarks.speed.growth")
    fsdd = import_module("anymae.benchmarks.quality.fsdd")
    monkeypatch.setattr(growth, "run", lambda budget, out: asked.append((budget, out)))
    monkeypatch.setattr(fsdd, "main", asked.append)
    out = str(tmp_path / "o")
    words = ["bench", "--budget", "smoke", "--out", out, "--data", "D"]
    assert main([*words, "--suite", "growth", "--suite", "fsdd", "--", "--seeds", "2"]) == 0
    (budget, folder), line = asked
    assert isinstance(budget, Budget)
    assert (budget.rounds, str(folder)) == (1, out)
    assert line[:5] == ["D", "--seeds", "2", "--budget", "smoke"]

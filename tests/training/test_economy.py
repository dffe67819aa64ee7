"""Blocks computed again or compiled: less memory or fewer calls, and the same run."""

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter

import anymae
from anymae.blocks import Block, CrossBlock
from anymae.encoder import Encoder, EncoderConfig
from anymae.kernels.segments import Segments
from anymae.training.trainer import Trainer
from tests.training.small import curve, cut_short, pretrain, weights


def encoder(recompute: bool, **options) -> Encoder:
    torch.manual_seed(0)
    net = Encoder(EncoderConfig(width=16, depth=3, heads=2, **options))
    for block in net.blocks:
        block.recompute = recompute
    return net.train()


def gradients(net: Encoder) -> tuple[dict[str, torch.Tensor], int]:
    """Of every parameter, and the bytes kept for the backward pass, weights not counted."""
    segments = Segments.of_lengths([5, 9, 2])
    x = torch.randn(16, 16, generator=torch.Generator().manual_seed(1))
    kept = {}

    def keep(tensor):
        if not isinstance(tensor, torch.nn.Parameter):
            kept[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = net(x, segments, keys=torch.arange(3)).x.square().sum()
        before = sum(kept.values())
    loss.backward()
    return {name: p.grad for name, p in net.named_parameters()}, before


@pytest.mark.parametrize("options", [{}, {"drop_path": 0.5}, {"layout": "full", "cls": False}])
def test_computing_again_keeps_less_and_changes_nothing(options):
    (plain, much), (again, little) = (gradients(encoder(on, **options)) for on in (False, True))
    assert plain.keys() == again.keys()
    assert all(torch.equal(plain[name], again[name]) for name in plain)
    assert little < much / 3


@pytest.mark.parametrize("decoder", ["self", "cross"])
def test_a_run_that_computes_again_is_the_same_run(tmp_path, decoder):
    runs = [
        pretrain(tmp_path / str(on), decoder=decoder, **{"training.recompute": on})
        for on in (False, True)
    ]
    assert curve(runs[0]) == curve(runs[1])
    assert weights(runs[0]) == weights(runs[1])


def test_the_setting_reaches_every_block(tmp_path, monkeypatch):
    seen = set()
    for kind in (Block, CrossBlock):
        real = kind.compute

        def compute(self, *inputs, real=real, **named):
            seen.add((type(self).__name__, self.recompute))
            return real(self, *inputs, **named)

        monkeypatch.setattr(kind, "compute", compute)
    pretrain(tmp_path / "run", decoder="cross", steps=1, **{"training.recompute": True})
    # Teachers, trivial losses and pictures need no gradients: they are not asked to.
    assert {("Block", True), ("CrossBlock", True)} <= seen


def test_a_run_may_go_on_with_it(tmp_path, monkeypatch):
    whole = pretrain(tmp_path / "whole")
    out = tmp_path / "cut"
    cut_short(monkeypatch, 11, lambda: pretrain(out))
    run = pretrain(out, **{"training.recompute": True})
    assert weights(run) == weights(whole)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch looks at it while tracing
def test_changing_lengths_compile_once(tmp_path, monkeypatch):
    counter, compile_ = CompileCounter(), torch.compile
    monkeypatch.setattr(torch, "compile", lambda f, **how: compile_(f, backend=counter, **how))
    torch._dynamo.reset()
    draw = np.random.default_rng(0)
    sounds = [(draw.normal(size=n).astype(np.float32), 8000) for n in draw.integers(900, 7000, 40)]
    after, step = [], Trainer.step

    def counted(self, *inputs):
        found = step(self, *inputs)
        after.append(counter.frame_count)
        return found

    monkeypatch.setattr(Trainer, "step", counted)
    options = {
        "modality": "audio", "size": EncoderConfig(width=16, depth=2, heads=2), "batch_size": 3,
        "precision": "fp32", "decoder.depth": 2, "steps": 12,
    }  # fmt: skip
    run = anymae.pretrain(sounds, out=tmp_path / "a", **options, **{"training.compile": True})
    assert 0 < after[1] == after[-1]
    plain = anymae.pretrain(sounds, out=tmp_path / "b", **options)
    assert after[-1] == after[11]
    assert run.history[-1]["loss"] == pytest.approx(plain.history[-1]["loss"], rel=1e-4)

"""`anymae doctor` says of every operation what the operation itself would answer."""

import torch

from anymae.cli.catalogue import doctor
from anymae.kernels import choice, edge_attention, neighbours
from anymae.kernels.choice import Choice


def lines(capsys) -> list[str]:
    doctor()
    return capsys.readouterr().out.splitlines()


def test_every_operation_is_listed_with_its_reason(capsys, monkeypatch):
    monkeypatch.setattr(choice, "INTERPRETED", False)
    said = lines(capsys)
    assert "  attention, ragged, float32: grouped/fused" in "\n".join(said)
    for title, kernel in (
        ("attention along edges", edge_attention),
        ("farthest points, nearest neighbours", neighbours),
    ):
        body, why = kernel.choose(torch.device("cpu"))
        assert f"  {title}: {body} ({why})" in said


def test_the_kernels_are_asked(capsys, monkeypatch):
    monkeypatch.setattr(edge_attention, "choose", lambda device: Choice("swift", "it says so"))
    assert "  attention along edges: swift (it says so)" in lines(capsys)

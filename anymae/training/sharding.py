"""Sharding: every process keeps a part of each block's weights, gradients and moments.

FSDP2's ``fully_shard`` over the blocks of encoder, decoders and teacher, which hold nearly all of a
model; what is left is small and the same everywhere. A sharded tensor is a ``DTensor``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import torch
import torch.distributed as dist
from torch import Tensor

from anymae.blocks import Block, CrossBlock
from anymae.errors import BadConfig, IncompatibleRecipe, unknown_name
from anymae.masks.watched import AttentionPriority
from anymae.model import Model
from anymae.teachers import StagedTeacher
from anymae.training.distributed import World

Strategy = Literal["ddp", "fsdp"]
STRATEGIES = ("auto", "ddp", "fsdp")
ROOM = 0.5
"""The part of a device's memory that weights, gradients and moments may take before ``auto``
shards them."""
BYTES = 16
"""Of a parameter, its gradient and two moments in float32."""


def refuse_unknown_strategy(strategy: str) -> None:
    """Raise ``BadConfig`` unless it is one."""
    if strategy not in STRATEGIES:
        raise unknown_name("strategy", strategy, STRATEGIES)


def chosen_strategy(strategy: str, model: Model, world: World) -> Strategy:
    """``"ddp"`` or ``"fsdp"``; ``"auto"`` shards what would fill half of a GPU. Raises
    ``BadConfig``, ``IncompatibleRecipe``."""
    if strategy == "auto":
        strategy = "fsdp" if world.size > 1 and _is_large(model, world.device) else "ddp"
    if strategy == "ddp":
        return "ddp"
    if world.size == 1:
        raise BadConfig(
            "strategy='fsdp' needs several processes", hint="Start it with torchrun, or use 'auto'."
        )
    if isinstance(model.recipe.mask.priority, AttentionPriority):
        raise IncompatibleRecipe(
            "mask.priority=attention needs the weights of a block outside of it, which "
            "strategy='fsdp' does not have",
            hint="Use strategy='ddp'.",
        )
    if isinstance(model.recipe.teacher, StagedTeacher):
        raise IncompatibleRecipe(
            "teacher=staged needs whole weights to draw the student anew, which strategy='fsdp' "
            "does not have",
            hint="Use strategy='ddp'.",
        )
    return "fsdp"


def _is_large(model: Model, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    needed = BYTES * sum(p.numel() for p in model.parameters())
    return needed > ROOM * torch.cuda.get_device_properties(device).total_memory


def shard(model: Model, world: World) -> None:
    """Cut every block of a model into one part a process, in place."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(world.device.type, (world.size,))
    for module in list(model.modules()):
        if isinstance(module, Block | CrossBlock):
            fully_shard(module, mesh=mesh, reshard_after_forward=True)
            if isinstance(module, Block):
                register_fsdp_forward_method(module, "tail")


def average_alike(gradients: Iterable[Tensor], world: World) -> None:
    """Average the gradients that sharding does not, in place, in one exchange."""
    alike = [gradient for gradient in gradients if not _is_cut(gradient)]
    flat = torch.cat([gradient.flatten() for gradient in alike])
    dist.all_reduce(flat)
    flat /= world.size
    parts = flat.split([gradient.numel() for gradient in alike])
    for gradient, part in zip(alike, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def _is_cut(tensor: Tensor) -> bool:
    """Whether it is a DTensor; to import their class takes half a second of every start."""
    return hasattr(tensor, "device_mesh")


def own_part(tensor: Tensor) -> Tensor:
    """What this process has of a tensor; all of it, where it is not sharded."""
    sharded: Any = tensor
    return sharded.to_local() if _is_cut(tensor) else tensor


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor; every process must ask for it."""
    sharded: Any = tensor
    return sharded.full_tensor() if _is_cut(tensor) else tensor


def like(example: Tensor, tensor: Tensor) -> Tensor:
    """A whole tensor, on the device of an example and sharded as it is."""
    tensor = tensor.to(example.device)
    if not _is_cut(example):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    sharded: Any = example
    return distribute_tensor(tensor, sharded.device_mesh, sharded.placements, src_data_rank=None)

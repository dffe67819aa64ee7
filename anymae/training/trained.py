"""What training moves: weights, gradients, moments and their average, whole or sharded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from anymae.blocks import Block, Recomputing
from anymae.model import Model
from anymae.storage import Wanted, shapes_of
from anymae.training.defaults import Resolved
from anymae.training.distributed import World
from anymae.training.optim import Average, adamw, optimiser_tensors, restore_optimiser
from anymae.training.sharding import Strategy, average_alike, like, own_part, shard, whole


class Trained:
    """A model on its device and over its processes, with its optimiser and moving average."""

    def __init__(self, model: Model, config: Resolved, world: World, strategy: Strategy) -> None:
        self.model, self.world = model.to(world.device), world
        self.sharded = strategy == "fsdp"
        self.module: nn.Module = self.model
        if self.sharded:
            shard(self.model, world)
        elif world.size > 1:
            self.module = DistributedDataParallel(self.model)
        for block in _blocks(model):
            block.recompute = config.recompute
            if config.compile and isinstance(block, Block):
                block.compile_tokenwise()
        self.optimiser = adamw(self.model, config)
        self.average = Average(self.model, config.ema) if config.ema else None

    # -- a step ----------------------------------------------------------------------------

    def gathering(self, last: bool) -> AbstractContextManager[None]:
        """Exchange gradients after the last of several accumulated passes only."""
        if last or not isinstance(self.module, DistributedDataParallel):
            return nullcontext()
        return self.module.no_sync()

    def gradients(self) -> dict[str, Tensor]:
        """This process's part of each parameter's gradient."""
        return {n: own_part(p.grad) for n, p in self.model.named_parameters() if p.grad is not None}

    def gather(self) -> None:
        """Complete the gradients after the last pass: the same in every process."""
        if self.sharded:
            found = [p.grad for p in self.model.parameters() if p.grad is not None]
            average_alike(found, self.world)

    def norm(self) -> float:
        """The gradients' norm, the same number in every process, and not finite in all of them if
        in any."""
        named = {n: p.grad for n, p in self.model.named_parameters() if p.grad is not None}
        alike = [g for g in named.values() if own_part(g) is g]
        cut = [own_part(g) for g in named.values() if own_part(g) is not g]
        norm = float(torch.nn.utils.get_total_norm(alike))
        norm = self.world.sum(norm)[0] / self.world.size
        if not self.sharded:
            return norm
        parts = self.world.sum(float(torch.nn.utils.get_total_norm(cut)) ** 2)[0]
        return math.sqrt(norm**2 + parts)

    def scale(self, factor: float) -> None:
        """Multiply the gradients."""
        torch._foreach_mul_(list(self.gradients().values()), factor)

    def move(self, rate: float) -> None:
        """One step of the optimiser."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        self.optimiser.zero_grad()

    # -- keeping ---------------------------------------------------------------------------

    def sound(self) -> bool:
        """Whether every weight is a finite number, in every process."""
        broken = not all(bool(own_part(p).isfinite().all()) for p in self.model.parameters())
        return not self.world.sum(broken)[0]

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """All of it in named groups, whole, for the leading process to write; every process must
        ask, and the others get nothing."""
        groups: dict[str, Mapping[str, Tensor]] = {
            "model": self.model.state_dict(),
            "optimiser": optimiser_tensors(self.optimiser, self.model),
        }
        if self.average:
            groups["average"] = self.average.tensors
        return {group: self._whole(tensors) for group, tensors in groups.items()}

    def _whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        found = {}
        for name, tensor in tensors.items():
            one = whole(tensor)
            if self.world.leads:
                found[name] = one.cpu() if self.sharded else one
        return found

    def wanted(self) -> dict[str, Wanted]:
        """The shapes and types of what ``load`` takes."""
        weights = shapes_of(self.model.state_dict())
        moments = shapes_of(optimiser_tensors(self.optimiser, self.model))
        average = {"average": weights} if self.average else {}
        return {"model": weights, "optimiser": moments} | average

    def load(self, groups: Mapping[str, Mapping[str, Tensor]]) -> None:
        """The inverse of ``tensors``; every process takes its part."""
        mine = self.model.state_dict()

        def cut(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
            return {name: like(mine[name], tensor) for name, tensor in tensors.items()}

        self.model.load_state_dict(cut(groups["model"]))
        restore_optimiser(self.optimiser, self.model, groups["optimiser"])
        if self.average:
            self.average.tensors = cut(groups["average"])

    def finished(self) -> Model:
        """The trained model on the CPU in eval mode, without teacher: the average's weights, if
        there is one."""
        tensors = self.average.tensors if self.average else self.model.state_dict()
        found = {name: whole(tensor) for name, tensor in tensors.items()}
        model = Model(self.model.adapter, self.model.recipe, self.model.encoder.config)
        model.load_state_dict({name: found[name] for name in model.state_dict()})
        return model.eval()


def _blocks(model: Model) -> list[Recomputing]:
    return [module for module in model.modules() if isinstance(module, Recomputing)]

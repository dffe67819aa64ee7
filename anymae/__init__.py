"""anymae: masked autoencoding for any data.

    import anymae
    run = anymae.pretrain(images, modality="image")
    features = run.model.embed(images)

Public names are imported when first used, so that ``import anymae`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from anymae.adapter import Adapter as Adapter
    from anymae.checks import check_adapter as check_adapter
    from anymae.encoder import EncoderConfig as EncoderConfig
    from anymae.errors import AnyMAEError as AnyMAEError
    from anymae.errors import BadConfig as BadConfig
    from anymae.errors import BadInput as BadInput
    from anymae.errors import CheckpointError as CheckpointError
    from anymae.errors import Diverged as Diverged
    from anymae.errors import IncompatibleRecipe as IncompatibleRecipe
    from anymae.evaluation import FineTuned as FineTuned
    from anymae.evaluation import Scores as Scores
    from anymae.evaluation import diagnose as diagnose
    from anymae.evaluation import evaluate as evaluate
    from anymae.evaluation import finetune as finetune
    from anymae.interop import import_checkpoint as import_checkpoint
    from anymae.model import Model as Model
    from anymae.recipe import Recipe as Recipe
    from anymae.registry import modalities as modalities
    from anymae.registry import recipes as recipes
    from anymae.registry import register as register
    from anymae.storage import load as load
    from anymae.symbols import SymbolAdapter as SymbolAdapter
    from anymae.tokens import Packed as Packed
    from anymae.tokens import Tokens as Tokens
    from anymae.training.estimate import Estimate as Estimate
    from anymae.training.estimate import estimate as estimate
    from anymae.training.pretrain import pretrain as pretrain
    from anymae.training.run import Run as Run

_HOMES = {
    "Adapter": "adapter",
    "AnyMAEError": "errors",
    "BadConfig": "errors",
    "BadInput": "errors",
    "CheckpointError": "errors",
    "Diverged": "errors",
    "EncoderConfig": "encoder",
    "Estimate": "training.estimate",
    "FineTuned": "evaluation",
    "IncompatibleRecipe": "errors",
    "Model": "model",
    "Packed": "tokens",
    "Recipe": "recipe",
    "Run": "training.run",
    "Scores": "evaluation",
    "SymbolAdapter": "symbols",
    "Tokens": "tokens",
    "check_adapter": "checks",
    "diagnose": "evaluation",
    "estimate": "training.estimate",
    "evaluate": "evaluation",
    "finetune": "evaluation",
    "import_checkpoint": "interop",
    "load": "storage",
    "modalities": "registry",
    "pretrain": "training.pretrain",
    "recipes": "registry",
    "register": "registry",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'anymae' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"anymae.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})

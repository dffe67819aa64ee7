"""Model: a method with its weights, and what users ask of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, overload

from pydantic import BaseModel, ConfigDict

from anymae.encoder import EncoderConfig
from anymae.method import Method, Output
from anymae.recipe import Recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anymae.inference import Reconstruction

__all__ = ["Model", "ModelConfig", "Output"]


class ModelConfig(BaseModel):
    """Everything that rebuilds a model but its weights; JSON round trip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: str
    adapter: dict[str, Any]
    recipe: Recipe
    encoder: EncoderConfig


class Model(Method):
    """A masked autoencoder for one modality: features, reconstructions, saving.

    Built from an adapter, a recipe and an encoder configuration with weights drawn from ``seed``.
    Raises ``IncompatibleRecipe`` if the three do not fit.
    """

    @property
    def config(self) -> ModelConfig:
        """Rebuilds this model but its weights."""
        return ModelConfig(
            modality=self.modality,
            adapter=self.adapter.model_dump(mode="json"),
            recipe=self.recipe,
            encoder=self.encoder.config,
        )

    @property
    def width(self) -> int:
        """Numbers in a feature vector."""
        return self.encoder.config.width

    @property
    def modality(self) -> str:
        """The adapter's name."""
        return self.adapter.name

    @overload
    def embed(
        self,
        dataset: Any,
        pool: str = "mean",
        layer: int = -1,
        batch_size: int | None = None,
    ) -> NDArray[np.float32]: ...
    @overload
    def embed(
        self, dataset: Any, pool: None, layer: int = -1, batch_size: int | None = None
    ) -> list[NDArray[np.float32]]: ...
    def embed(
        self,
        dataset: Any,
        pool: str | None = "mean",
        layer: int = -1,
        batch_size: int | None = None,
    ) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Features of every sample, in order, nothing masked, deterministic.

        ``pool`` is ``"mean"`` (of the tokens), ``"max"``, ``"std"`` or ``"cls"``: float32
        (n, width), or several (``"mean+max"``): as often the width; or None: a list of n arrays
        (tokens_i, width). ``layer`` is a block counted from 0, or from
        the end: -1 is the last block with the final norm. Raises ``BadInput``, ``BadConfig``.
        """
        from anymae.inference import embed

        return embed(self, dataset, pool=pool, layer=layer, batch_size=batch_size)

    def reconstruct(
        self, dataset: Any, mask_ratio: float | None = None, seed: int = 0
    ) -> Reconstruction:
        """Hide a part of each sample and rebuild it, in the data's own units.

        Where the target is normalised by token, a prediction is scaled by the hidden token's own
        mean and deviation: a picture of structure, not a score. ``mask_ratio`` None: the recipe's.
        """
        from anymae.inference import reconstruct

        return reconstruct(self, dataset, mask_ratio=mask_ratio, seed=seed)

    def save(self, folder: str | Path) -> Path:
        """Write ``config.json`` and ``model.safetensors`` to a folder, atomically."""
        from anymae.storage import save_model

        return save_model(self, Path(folder))

    def push_to_hub(self, hub_id: str, *, private: bool = False) -> str:
        """Save the model on the Hugging Face hub as ``owner/name``; returns the address."""
        from anymae.hub import push

        with TemporaryDirectory() as place:
            return push(self.save(Path(place) / "model"), hub_id, private=private)

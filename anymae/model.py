"""Model: tokenizer -> mask -> encode -> decode, for every modality and recipe.

Only seen tokens are embedded and encoded, only asked tokens are predicted, and targets are built
for asked tokens only: what nobody reads is not computed.

Shapes: B samples, T tokens, S seen, A asked, D width, F numbers a token, P coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from anymae.adapter import Adapter
from anymae.corruption import Input
from anymae.decoders import Question, Whole
from anymae.encoder import Encoder, EncoderConfig, Latents
from anymae.initialise import initialise, seeded
from anymae.masks import Roles
from anymae.recipe import Recipe
from anymae.tokens import Packed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from anymae.inference import Reconstruction

Pooling = Literal["cls", "mean", "max"]
Pool = Pooling | None


class ModelConfig(BaseModel):
    """Everything that rebuilds a model but its weights; JSON round trip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: str
    adapter: dict[str, Any]
    recipe: Recipe
    encoder: EncoderConfig


@dataclass(frozen=True)
class Output:
    """One forward pass: ``loss`` is the *sum* over the A asked tokens, ``count`` is A;
    ``prediction`` and ``target`` are (A, F)."""

    loss: Tensor
    count: int
    prediction: Tensor
    target: Tensor


class Model(nn.Module):
    """A masked autoencoder for one modality.

    Built from an adapter, a recipe and an encoder configuration with weights drawn from ``seed``.
    Raises ``IncompatibleRecipe`` if the three do not fit.
    """

    def __init__(
        self, adapter: Adapter, recipe: Recipe, encoder: EncoderConfig, *, seed: int = 0
    ) -> None:
        super().__init__()
        recipe.check(adapter)
        self.adapter = adapter
        self.recipe = recipe
        with seeded(seed, "weights"):
            self.embedding = adapter.embed(encoder.width)
            self.position = adapter.place(recipe.position, encoder.width)
            self.corruption = recipe.corruption.build(encoder.width)
            self.encoder = Encoder(encoder, adapter.edge_dim)
            place = partial(adapter.place, recipe.position)
            self.decoder = recipe.decoder.build(encoder, place, adapter.edge_dim)
            width = recipe.decoder.out_width(encoder)
            self.head = adapter.head(width, recipe.target.width(adapter))
            initialise(self)

    # -- the method ------------------------------------------------------------------------

    def forward(self, packed: Packed, roles: Roles) -> Output:
        """Predict the asked tokens of a batch and score the predictions."""
        asked = packed.select(roles.ask, roles.of_ask)
        latents, entered = self._encode_masked(packed, roles)
        coords = packed.coords.index_select(0, entered.index)
        whole = None
        if packed.edges is not None:
            whole = Whole(packed.edges, packed.coords, packed.segments, roles, entered.see)
        question = Question(coords, asked.coords, roles.of_ask, entered.ask, whole)
        prediction = self.head(self.decoder(latents, question), asked.coords)
        with torch.no_grad():
            target = self.recipe.target.of(self.adapter, asked)
        each = self.score(prediction, target, asked)
        return Output(each.sum(), roles.of_ask.total, prediction, target)

    def score(self, prediction: Tensor, target: Tensor, asked: Packed) -> Tensor:
        """(A,) how far predictions are from targets, one number an asked token."""
        recipe = self.recipe
        return recipe.target.score(self.adapter, recipe.loss, prediction, target, asked)

    def _encode_masked(self, packed: Packed, roles: Roles) -> tuple[Latents, Input]:
        """Latents, and which rows entered the encoder. Hidden tokens enter as coordinates alone."""
        seen = self._embed(packed.select(roles.see, roles.of_see))
        hidden = None
        if self.recipe.corruption.keeps_hidden:
            hidden = self.position(packed.coords.index_select(0, roles.hide))
        entering = self.corruption(seen, hidden, roles)
        coords = packed.coords.index_select(0, entering.index)
        latents = self.encoder(
            entering.x,
            entering.segments,
            coords,
            packed.keys,
            edges=packed.edges_among(entering.index),
        )
        return latents, entering

    def encode(self, packed: Packed, taps: tuple[int, ...] = ()) -> Latents:
        """Encode every token of a batch, none masked."""
        return self.encoder(
            self._embed(packed),
            packed.segments,
            packed.coords,
            packed.keys,
            taps=taps,
            edges=packed.edges,
        )

    def _embed(self, visible: Packed) -> Tensor:
        return self.embedding(visible) + self.position(visible.coords)

    # -- what it is ------------------------------------------------------------------------

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

    # -- what users ask of it --------------------------------------------------------------

    @overload
    def embed(
        self,
        dataset: Any,
        pool: Pooling = "mean",
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
        pool: Pool = "mean",
        layer: int = -1,
        batch_size: int | None = None,
    ) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        """Features of every sample, in order, nothing masked, deterministic.

        ``pool`` is ``"mean"`` (of the tokens), ``"cls"`` or ``"max"``: float32 (n, width); or
        None: a list of n arrays (tokens_i, width). ``layer`` is a block counted from 0, or from
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

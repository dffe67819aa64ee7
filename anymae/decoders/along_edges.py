"""A decoder that attends along the edges of a graph.

Shapes: B samples, S encoded tokens, A asked tokens, D encoder width, W decoder width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from torch import Tensor, nn

from anymae.blocks import Block
from anymae.decoders.decoder import Asking, Question, Sized
from anymae.encoder import EncoderConfig, Latents, LayoutChoice
from anymae.errors import BadConfig
from anymae.kernels.segments import Segments


class EdgeDecoder(Sized, kind="edges"):
    """Attention along the edges of the whole graph, where every hidden token, whatever the encoder
    made of it, starts again as one learned vector (GraphMAE's re-masking, Hou et al. 2022)."""

    needs: ClassVar[frozenset[str]] = frozenset({"edges"})

    def build(
        self, encoder: EncoderConfig, place: Callable[[int], nn.Module], edge_dim: int = 0
    ) -> nn.Module:
        width, depth, heads = self.sized(encoder)
        blocks = [Block(width, heads, self.mlp_ratio, encoder.norm_eps) for _ in range(depth)]
        along = encoder.model_copy(update={"layout": "edges"})
        choice = LayoutChoice(along, depth, heads, edge_dim)
        return _EdgeDecoder(encoder, width, blocks, place(width), choice)


class _EdgeDecoder(Asking):
    def __init__(
        self,
        encoder: EncoderConfig,
        width: int,
        blocks: list[Block],
        position: nn.Module,
        choice: LayoutChoice,
    ) -> None:
        super().__init__(encoder, width, position)
        self.embed = nn.Linear(encoder.width, width, bias=False)
        self.blocks = nn.ModuleList(blocks)
        self.layouts = choice

    def forward(self, latents: Latents, question: Question) -> Tensor:
        whole = question.graph
        if whole is None:
            raise BadConfig("decoder=edges needs tokens that have edges")
        seen = self.embed(latents.tokens())
        seen = seen if whole.see_rows is None else seen.index_select(0, whole.see_rows)
        x = self.mask_token.to(seen.dtype).repeat(len(whole.coords), 1)
        x = x.index_copy(0, whole.roles.see, seen)
        x = x + self.position(whole.coords).to(seen.dtype)
        nobody = Segments.of_lengths([0] * len(whole.segments))
        chosen = self.layouts(nobody, whole.segments, edges=whole.edges)
        for depth, (block, layout) in enumerate(zip(self.blocks, chosen, strict=True)):
            x = block(x, layout, whole.segments, depth=depth)
        return self.norm(x.index_select(0, whole.roles.ask))

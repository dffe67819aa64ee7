"""Recipes for graphs: GraphMAE, and what came before and beside it."""

from __future__ import annotations

from anymae.config import TrainingConfig
from anymae.corruption import HideEdges, MaskToken
from anymae.decoders import EdgeDecoder, LinearDecoder
from anymae.losses import BinaryLoss, CosineLoss, SquaredLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.positions import NoPosition
from anymae.recipe import Recipe
from anymae.targets import Content, Links

GRAPHMAE = Recipe(
    name="graphmae",
    paper="Hou et al., GraphMAE: Self-Supervised Masked Graph Autoencoders, KDD 2022",
    year=2022,
    summary="Mask tokens at half of the nodes; what the encoder made of them is hidden again "
    "before a decoder of one layer rebuilds their features from their neighbours.",
    differs="Dot-product attention along edges in pre-norm transformer blocks, not GAT or GIN; a "
    "hidden node is always a mask token (5 to 10 % take another node's features there); the "
    "decoder gets a learned vector, not zeros, for hidden nodes; no dropout; decoupled weight "
    "decay, and warm-up for 5 % of the run.",
    position=NoPosition(),
    mask=Mask(budget=RatioBudget(ratio=0.5)),
    corruption=MaskToken(),
    decoder=EdgeDecoder(depth=1),
    target=Content(),
    loss=CosineLoss(power=3.0),
    training=TrainingConfig(lr=1e-3, betas=(0.9, 0.999), weight_decay=2e-4),
)

ATTRMASK = Recipe(
    name="attrmask",
    paper="Hu et al., Strategies for Pre-training Graph Neural Networks, ICLR 2020 (attribute "
    "masking)",
    year=2020,
    summary="Mask tokens at 15 % of the nodes inside the encoder, which a linear head answers for.",
    differs="Dot-product attention along edges in pre-norm transformer blocks, not GIN; squared "
    "error on all features of a node, not cross entropy on its atom type (loss=cross-entropy, "
    "where features are one category); bonds are neither hidden nor predicted.",
    position=NoPosition(),
    mask=Mask(budget=RatioBudget(ratio=0.15)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    target=Content(),
    loss=SquaredLoss(),
    training=TrainingConfig(lr=1e-3),
)

GMAE = Recipe(
    name="gmae",
    paper="Zhang et al., Graph Masked Autoencoders with Transformers, 2022",
    year=2022,
    summary="Most nodes are dropped before the encoder, edges with them; a decoder of two layers "
    "on the whole graph rebuilds their features.",
    differs="Structure is attention along edges (or, with modality_options attention=full, random "
    "walk encodings), not a bias by shortest paths of the whole graph; the decoder attends along "
    "edges; each graph has a mask of its own; the paper's share of hidden nodes is 0.3 to 0.9 by "
    "data set; no degree embeddings; squared error for categories too.",
    position=NoPosition(),
    mask=Mask(budget=RatioBudget(ratio=0.7)),
    decoder=EdgeDecoder(depth=2),
    target=Content(),
    loss=SquaredLoss(),
)

MASKGAE = Recipe(
    name="maskgae",
    paper="Li et al., What's Behind the Mask: Understanding Masked Graph Modeling for Graph "
    "Autoencoders, KDD 2023 (edge masking)",
    year=2022,
    summary="Seven tenths of the edges are hidden, no node; pairs with a hidden edge are to be "
    "told from pairs without any.",
    differs="Dot-product attention along edges in pre-norm transformer blocks, not GCN; a pair is "
    "the product of two answers, not a network of their product; four hidden edges of each node "
    "a step, so nodes weigh the same, not edges; no paths and no degrees; node features that are "
    "degrees count hidden edges too; decoupled weight decay.",
    position=NoPosition(),
    mask=Mask(asked="all"),
    corruption=HideEdges(ratio=0.7),
    decoder=LinearDecoder(),
    target=Links(),
    loss=BinaryLoss(),
    training=TrainingConfig(lr=1e-3),
)

GAE = MASKGAE.model_copy(
    update={
        "name": "gae",
        "paper": "Kipf and Welling, Variational Graph Auto-Encoders, 2016 (the autoencoder)",
        "year": 2016,
        "summary": "No edge is hidden; pairs with an edge are to be told from pairs without.",
        "differs": "Attention along edges, not GCN; as many pairs without an edge as with, not all "
        "pairs with weights; not variational.",
        "corruption": HideEdges(ratio=0.0),
    }
)

RECIPES = (GRAPHMAE, ATTRMASK, GMAE, MASKGAE, GAE)

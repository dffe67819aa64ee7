"""Recipes of series, sets, tables and text, by the choices that make them."""

from __future__ import annotations

from anymae.corruption import MaskToken, Replace
from anymae.decoders import LinearDecoder, NeighbourDecoder, PoolDecoder
from anymae.goals import Goal
from anymae.losses import AbsoluteLoss, AlikeLoss, ChamferLoss, CrossEntropyLoss, EuclideanLoss
from anymae.masks import Mask
from anymae.masks.budgets import RangeBudget, RatioBudget
from anymae.masks.places import SpanPriority
from anymae.masks.priorities import BlockPriority
from anymae.positions import MlpPosition, NoPosition
from anymae.recipe import Recipe
from anymae.targets import Codes, Siblings

PATCHTST = Recipe(
    name="patchtst",
    paper="Nie et al., A Time Series is Worth 64 Words, ICLR 2023 (self-supervised)",
    year=2023,
    summary="Mask tokens inside the encoder, a linear head, squared error on raw content.",
    differs="Hidden patches are a learned vector, not zeros; layer norm instead of batch norm; the "
    "mask is drawn over a sample's channels together.",
    mask=Mask(budget=RatioBudget(ratio=0.4)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
)

TI_MAE = Recipe(
    name="ti-mae",
    paper="Li et al., Ti-MAE: Self-Supervised Masked Time Series Autoencoders, 2023",
    year=2023,
    summary="MAE on raw content: three quarters are hidden.",
    verified=False,
)

PITS = Recipe(
    name="pits",
    paper="Lee et al., Learning to Embed Time Series Patches Independently, ICLR 2024",
    year=2024,
    summary="Every token alone: no attention, no place; a small network says what it was shown.",
    differs="A block of the encoder, whose tokens attend to themselves, instead of two linear "
    "maps; half of the tokens a step, and no contrast between this half and the other; tokens "
    "without places of their own, such as nodes, meet.",
    settings={
        "encoder.depth": 1,
        "encoder.cls": False,
        "encoder.layout": "window",
        "encoder.window": [1e-6],
        "encoder.shifted": False,
        "encoder.global_every": 0,
    },
    position=NoPosition(),
    mask=Mask(budget=RatioBudget(ratio=0.5), asked="seen"),
    decoder=LinearDecoder(),
)

SIMMTM = Recipe(
    name="simmtm",
    paper="Dong et al., SimMTM: A Simple Pre-Training Framework for Masked Time-Series Modeling, "
    "NeurIPS 2023",
    year=2023,
    summary="Three masked copies; a sample is rebuilt, token by token, from the copies and samples "
    "of the batch that are like it, and copies of one sample should be alike.",
    differs="Hidden tokens are a learned vector, not zeros; similarity is of the mean of the "
    "tokens, not of all laid side by side, and the constraint has a network of its own; both goals "
    "weigh the same, which the paper learns; runs of a fixed length; a token is answered for by "
    "the token at its place, through one linear map for all places.",
    views=3,
    mask=Mask(priority=SpanPriority(axis=0, length=3), budget=RatioBudget(ratio=0.5), asked="all"),
    corruption=MaskToken(),
    decoder=NeighbourDecoder(),
    also=(Goal(decoder=PoolDecoder(), target=Siblings(), loss=AlikeLoss(), scope="sample"),),
)

MOMENT = Recipe(
    name="moment",
    paper="Goswami et al., MOMENT: A Family of Open Time-series Foundation Models, ICML 2024",
    year=2024,
    summary="Three tenths become mask tokens inside the encoder; a linear head rebuilds them.",
    differs="Absolute positions instead of T5's relative ones.",
    mask=Mask(budget=RatioBudget(ratio=0.3)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
)

REMASKER = Recipe(
    name="remasker",
    paper="Du et al., ReMasker: Imputing Tabular Data with Masked Autoencoding, ICLR 2024",
    year=2024,
    summary="Half of what is known is hidden and rebuilt; what is missing never enters.",
    differs="Seen cells are not rebuilt.",
    mask=Mask(budget=RatioBudget(ratio=0.5)),
)

MET = Recipe(
    name="met",
    paper="Majmundar et al., MET: Masked Encoding for Tabular Data, 2022",
    year=2022,
    summary="MAE with seven tenths of the cells hidden.",
    differs="No adversarial second pass.",
    mask=Mask(budget=RatioBudget(ratio=0.7)),
    verified=False,
)

VIME = Recipe(
    name="vime",
    paper="Yoon et al., VIME: Extending the Success of Self- and Semi-supervised Learning to "
    "Tabular Domain, NeurIPS 2020",
    year=2020,
    summary="Three tenths are replaced by the same place of another sample, and to be rebuilt.",
    differs="Only the content is predicted, not which cells were replaced; a transformer.",
    mask=Mask(budget=RatioBudget(ratio=0.3)),
    corruption=Replace(by="place"),
    decoder=LinearDecoder(),
)

GMML = Recipe(
    name="gmml",
    paper="Atito et al., GMML is All you Need, 2022",
    year=2022,
    summary="Blocks are replaced by noise, and to be rebuilt with absolute error.",
    differs="Blocks of tokens, not of pixels; noise always, never another image; the last block "
    "alone is read.",
    mask=Mask(priority=BlockPriority(), budget=RatioBudget(ratio=0.7)),
    corruption=Replace(by="noise"),
    decoder=LinearDecoder(),
    loss=AbsoluteLoss(),
)

BERT = Recipe(
    name="bert",
    paper="Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers, NAACL 2019",
    year=2019,
    summary="Fifteen in a hundred become mask tokens inside the encoder; a linear head names them.",
    differs="Always the mask token: no random and no kept ones among the hidden.",
    mask=Mask(budget=RatioBudget(ratio=0.15)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
)

MAE_LM = Recipe(
    name="mae-lm",
    paper="Meng et al., Representation Deficiency in Masked Language Modeling, ICLR 2024",
    year=2024,
    summary="BERT whose encoder never sees a mask token: a decoder does.",
    differs="Absolute positions.",
    mask=Mask(budget=RatioBudget(ratio=0.15)),
)

POINTMAE = Recipe(
    name="pointmae",
    paper="Pang et al., Masked Autoencoders for Point Cloud Self-supervised Learning, ECCV 2022",
    year=2022,
    summary="Sets of points: positions by a small network, Chamfer distance on what is hidden.",
    differs="Positions are added once, not before every block; no batch norm.",
    position=MlpPosition(),
    mask=Mask(budget=RatioBudget(ratio=0.6)),
    loss=ChamferLoss(),
)

CODES = Recipe(
    name="ccvit",
    paper="Yan et al., Centroid-centered Modeling for Efficient Vision Transformer Pre-training, "
    "2023",
    year=2023,
    summary="Which of a few typical contents, found by k-means, a hidden token is.",
    differs="256 codes of what training starts with, instead of 8,192; MAE's encoder; no pixels "
    "beside the codes; nothing replaced by centroids.",
    mask=Mask(priority=BlockPriority(), budget=RatioBudget(ratio=0.4)),
    target=Codes(),
    loss=CrossEntropyLoss(),
)

MAGE = Recipe(
    name="mage",
    paper="Li et al., MAGE: MAsked Generative Encoder to Unify Representation Learning and Image "
    "Synthesis, CVPR 2023",
    year=2022,
    summary="Which code each hidden token has, where half to nine tenths of a sample are hidden.",
    differs="Content enters, not its codes, which are 256 by k-means of single tokens, not a "
    "VQGAN's 1,024. The share is drawn evenly for each sample, not from a normal for a batch; all "
    "hidden tokens are left out of the encoder; the decoder has a mask token of its own, not the "
    "class token; nothing is generated.",
    mask=Mask(budget=RangeBudget(low=0.5, high=0.9)),
    target=Codes(centred=False),
    loss=CrossEntropyLoss(smoothing=0.1),
)

DABS_MAE = Recipe(
    name="dabs-mae",
    paper="Tamkin et al., DABS 2.0: Improved Datasets and Algorithms for Universal "
    "Self-Supervision, NeurIPS 2022 (its masked autoencoder)",
    year=2022,
    summary="Fifteen in a hundred become mask tokens inside the encoder; how far a linear head is "
    "off counts, not its square.",
    differs="Hidden tokens are a learned vector, not zeros; no rectifier before the head.",
    mask=Mask(budget=RatioBudget(ratio=0.15)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    loss=EuclideanLoss(),
)

RECIPES = (
    PATCHTST, TI_MAE, PITS, SIMMTM, MOMENT, REMASKER, MET, VIME, GMML, BERT, MAE_LM, POINTMAE,
    CODES, MAGE, DABS_MAE,
)  # fmt: skip

"""Recipes that predict what a teacher makes of hidden tokens, or of seen ones."""

from __future__ import annotations

from anymae.corruption import MaskToken
from anymae.decoders import CrossDecoder, LinearDecoder, SelfDecoder
from anymae.goals import Goal
from anymae.losses import (
    ContrastiveLoss,
    CosineLoss,
    CrossEntropyLoss,
    SmoothLoss,
    SquaredLoss,
)
from anymae.masks import Mask
from anymae.masks.budgets import RangeBudget, RatioBudget
from anymae.masks.places import NearestPriority, SpanPriority
from anymae.masks.priorities import BlockPriority
from anymae.masks.watched import AttentionPriority
from anymae.recipe import Recipe
from anymae.targets import Assignments, Balanced, Content, Features, Hog, Prototypes
from anymae.teachers import EmaTeacher, StagedTeacher, StillTeacher

DATA2VEC2 = Recipe(
    name="data2vec2",
    paper="Baevski et al., Efficient Self-supervised Learning with Contextualized Target "
    "Representations, ICML 2023",
    year=2023,
    summary="One box is seen; the rest is what a moving average makes of the whole.",
    differs="Eight masks of a sample for every modality, as the paper's for sound and text (16 for "
    "its images); a transformer decodes, not a convolution; targets are the outputs of two blocks, "
    "not the feed-forward parts of many.",
    views=8,
    mask=Mask(priority=NearestPriority(hide=False, norm="box"), budget=RatioBudget(ratio=0.8)),
    target=Features(layers=2),
    loss=SquaredLoss(),
    teacher=EmaTeacher(start=0.999, end=0.9999),
)

I_JEPA = Recipe(
    name="i-jepa",
    paper="Assran et al., Self-Supervised Learning from Images with a Joint-Embedding Predictive "
    "Architecture, CVPR 2023",
    year=2023,
    summary="Features of hidden blocks, as a moving average of the encoder sees them in the whole.",
    differs="Blocks of one mask are hidden and asked together; the paper predicts four target "
    "blocks one by one; the average's momentum follows half a cosine, not a line; a class token.",
    mask=Mask(priority=BlockPriority(smallest=0.15, largest=0.2), budget=RatioBudget(ratio=0.6)),
    target=Features(final_norm=True),
    loss=SmoothLoss(),
    teacher=EmaTeacher(),
)

T_JEPA = I_JEPA.model_copy(
    update={
        "name": "t-jepa",
        "paper": "Thimonier et al., T-JEPA: Augmentation-Free Self-Supervised Learning for Tabular "
        "Data, ICLR 2025",
        "year": 2025,
        "summary": "I-JEPA with random tokens hidden and squared error on raw features.",
        "differs": "One set of target columns a step, not four; the class token regularises.",
        "mask": Mask(budget=RatioBudget(ratio=0.7)),
        "target": Features(normalise="none", final_norm=True),
        "loss": SquaredLoss(),
    }
)

FLEXPREDICT = I_JEPA.model_copy(
    update={
        "name": "flexpredict",
        "paper": "Bar et al., Stochastic Positional Embeddings Improve Masked Image Modeling, ICML "
        "2024 (FlexPredict)",
        "year": 2024,
        "summary": "I-JEPA whose predictor knows only roughly where the hidden tokens are.",
        "differs": "The learned mask token stays beside the noise; otherwise as i-jepa.",
        "decoder": SelfDecoder(place_noise=0.25),
    }
)

DBOT = Recipe(
    name="dbot",
    paper="Liu et al., Exploring Target Representations for Masked Autoencoders, ICLR 2024",
    year=2024,
    summary="Features of a random teacher, then of what was learned from it, from the start again.",
    differs="Optimiser moments and schedule go on where the student starts again.",
    target=Features(),
    loss=SmoothLoss(beta=2.0),
    teacher=StagedTeacher(stages=2),
)

LATENT_MIM = Recipe(
    name="latent-mim",
    paper="Wei et al., Towards Latent Masked Image Modeling for Self-Supervised Visual "
    "Representation Learning, ECCV 2024",
    year=2024,
    summary="Each hidden token's feature among those of others, by contrast; the teacher sees only "
    "hidden tokens.",
    differs="Patches have no gaps; queries start from the mask token alone; no similarity "
    "constraint; rivals are neighbours in the batch, not the same image alone.",
    mask=Mask(budget=RatioBudget(ratio=0.9)),
    target=Features(shown="asked", final_norm=True),
    loss=ContrastiveLoss(temperature=0.2),
    teacher=EmaTeacher(start=0.99),
)

MASKALIGN = Recipe(
    name="maskalign",
    paper="Xue et al., Stare at What You See: Masked Image Modeling without Reconstruction, "
    "CVPR 2023",
    year=2023,
    summary="Seen tokens, drawn by attention, match a teacher that sees all; content is asked too.",
    differs="The teacher is a moving average of the student, not CLIP, so MAE's goal stays beside "
    "the alignment; the last block only.",
    mask=Mask(priority=AttentionPriority(hide="sampled"), budget=RatioBudget(ratio=0.7)),
    target=Content(normalise="token"),
    teacher=EmaTeacher(),
    also=(Goal(decoder=LinearDecoder(), target=Features(), loss=SmoothLoss(), scope="seen"),),
)

SELF_DISTILLATION = Recipe(
    name="self-distillation",
    paper="Lee et al., Self-Distillation for Further Pre-training of Transformers, ICLR 2023",
    year=2023,
    summary="MAE in two stages: the second also matches the first's features of seen tokens.",
    differs="The student starts again from random weights, not from the pretrained ones.",
    target=Content(normalise="token"),
    teacher=StagedTeacher(stages=2),
    also=(Goal(target=Features(shown="seen"), loss=SquaredLoss(), scope="seen"),),
)

RANDOM_FEATURES = Recipe(
    name="random-features",
    paper="Sui et al., Self-supervised Representation Learning from Random Data Projectors "
    "(LFR), ICLR 2024",
    year=2024,
    summary="Features of an encoder that never learns, as targets.",
    differs="One random network, the untrained encoder, instead of several chosen for diversity; "
    "cosine instead of a row correlation; hidden tokens instead of whole samples.",
    target=Features(),
    loss=CosineLoss(),
    teacher=StillTeacher(),
)

GRAPHMAE2 = Recipe(
    name="graphmae2",
    paper="Hou et al., GraphMAE2: A Decoding-Enhanced Masked Self-Supervised Graph Learner, "
    "WWW 2023",
    year=2023,
    summary="Content by scaled cosine, and the features of seen tokens in the whole sample.",
    differs="One random re-mask, that of the hidden tokens, instead of several views.",
    mask=Mask(budget=RatioBudget(ratio=0.5)),
    loss=CosineLoss(power=3),
    teacher=EmaTeacher(),
    also=(Goal(target=Features(), loss=CosineLoss(), scope="seen", weight=0.15),),
)

MASKFEAT = Recipe(
    name="maskfeat",
    paper="Wei et al., Masked Feature Prediction for Self-Supervised Visual Pre-Training, "
    "CVPR 2022",
    year=2022,
    summary="Histograms of gradient directions of hidden blocks.",
    differs="Hidden tokens are left out of the encoder and decoded, as in MAE.",
    mask=Mask(priority=BlockPriority(), budget=RatioBudget(ratio=0.4)),
    target=Hog(),
)

FG_MAE = Recipe(
    name="fg-mae",
    paper="Wang et al., Feature Guided Masked Autoencoder for Self-supervised Learning in Remote "
    "Sensing, JSTARS 2024",
    year=2024,
    summary="MAE that predicts histograms of gradient directions, band by band.",
    differs="No normalised difference indices beside them.",
    mask=Mask(budget=RatioBudget(ratio=0.7)),
    target=Hog(),
)

SSAST = Recipe(
    name="ssast",
    paper="Gong et al., SSAST: Self-Supervised Audio Spectrogram Transformer, AAAI 2022",
    year=2022,
    summary="Which hidden token is which, by contrast, and its raw content, ten times as much.",
    differs="Hidden tokens are left out of the encoder; neighbourhoods are balls around one token; "
    "both goals share one mask; rivals are neighbours in the batch.",
    mask=Mask(priority=NearestPriority(), budget=RatioBudget(ratio=0.75)),
    also=(Goal(decoder=SelfDecoder(), loss=ContrastiveLoss(temperature=1.0), weight=0.1),),
)

DINO_SR = Recipe(
    name="dino-sr",
    paper="Liu et al., DinoSR: Self-Distillation and Online Clustering for Self-supervised Speech "
    "Representation Learning, NeurIPS 2023",
    year=2023,
    summary="Which of the codewords, that follow a moving average's features, a hidden token is.",
    differs="Outputs of the last two blocks, not the feed-forward parts of eight; pre-norm blocks "
    "on the modality's own tokens and positions; embedding and positions are averaged too; runs of "
    "whole moments fill an exact share; codewords start as features; a cosine to 0.9999, not a "
    "line.",
    mask=Mask(priority=SpanPriority(axis=0, length=5, shared=True), budget=RatioBudget(ratio=0.55)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    target=Prototypes(layers=2, codes=256),
    loss=CrossEntropyLoss(),
    teacher=EmaTeacher(start=0.999, end=0.9999),
)

IBOT = Recipe(
    name="ibot",
    paper="Zhou et al., iBOT: Image BERT Pre-Training with Online Tokenizer, ICLR 2022",
    year=2022,
    summary="How a moving average of encoder and head spreads a hidden token over prototypes.",
    differs="No class-token goal across crops, so no crops, and no sample without hidden tokens; "
    "256 prototypes instead of 8,192 and a head in the encoder's proportions; centred over asked "
    "tokens; targets stay as sharp as the paper's begin; no frozen last layer; tokens, not images, "
    "weigh the same; absolute positions.",
    mask=Mask(priority=BlockPriority(), budget=RangeBudget(low=0.1, high=0.5)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    target=Assignments(),
    loss=CrossEntropyLoss(),
    teacher=EmaTeacher(start=0.996),
)

CAPI = Recipe(
    name="capi",
    paper="Darcet et al., Cluster and Predict Latent Patches for Improved Masked Image Modeling, "
    "TMLR 2025 (CAPI)",
    year=2025,
    summary="Which cluster a moving average's feature of a hidden token is in; clusters learn, and "
    "are balanced place by place. One in twenty hidden tokens is asked.",
    differs="64 clusters, not 16,384, as batches are as much smaller; one box is seen, not rolled "
    "round the edges; the decoder follows the encoder's size, and is not twelve blocks of its "
    "width; absolute positions, not rotary ones; layer norm; the average's momentum follows half a "
    "cosine from 0.999, with no warm-up before; clusters learn without weight decay and at a "
    "constant rate.",
    mask=Mask(
        priority=NearestPriority(hide=False, norm="box"), budget=RatioBudget(ratio=0.65), ask=0.05
    ),
    decoder=CrossDecoder(),
    target=Balanced(),
    loss=CrossEntropyLoss(),
    teacher=EmaTeacher(start=0.999),
)

RECIPES = (
    DATA2VEC2, I_JEPA, T_JEPA, FLEXPREDICT, DBOT, LATENT_MIM, MASKALIGN, SELF_DISTILLATION,
    RANDOM_FEATURES, GRAPHMAE2, MASKFEAT, FG_MAE, SSAST, DINO_SR, IBOT, CAPI,
)  # fmt: skip

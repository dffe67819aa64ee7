"""Recipes that are MAE or SimMIM with another choice of what is hidden."""

from __future__ import annotations

from anymae.corruption import MaskToken
from anymae.decoders import CrossDecoder, LinearDecoder, SelfDecoder
from anymae.goals import Goal
from anymae.losses import AbsoluteLoss, RankLoss, SquaredLoss
from anymae.masks import Mask
from anymae.masks.budgets import RatioBudget
from anymae.masks.groups import FrameGroups, TubeGroups
from anymae.masks.places import FilteredPriority, SpanPriority
from anymae.masks.priorities import BlockPriority
from anymae.masks.watched import AttentionPriority, DifficultyPriority
from anymae.recipe import Recipe
from anymae.targets import Content, Difficulty
from anymae.teachers import EmaTeacher

_NORMALISED = Content(normalise="token")

CROSSMAE = Recipe(
    name="crossmae",
    paper="Fu et al., Rethinking Patch Dependence for Masked Autoencoders, TMLR 2025",
    year=2024,
    summary="Asked tokens read the seen, not one another; a quarter of the hidden is asked.",
    differs="The decoder reads the encoder's output, not a learned mixture of all its blocks.",
    mask=Mask(ask=0.25),
    decoder=CrossDecoder(),
    target=_NORMALISED,
)

VIDEOMAE = Recipe(
    name="videomae",
    paper="Tong et al., VideoMAE: Masked Autoencoders are Data-Efficient Learners, NeurIPS 2022",
    year=2022,
    summary="A place is hidden at all times together, nine tenths of them.",
    differs="Targets are normalised over a token's numbers, not for each colour; positions are "
    "those of three axes; the decoder follows the encoder's size; the tenth that is seen is "
    "rounded down, as in MAE (19 of 196 places, not 20).",
    mask=Mask(groups=TubeGroups(), budget=RatioBudget(ratio=0.9)),
    target=_NORMALISED,
)

VIDEOMAE_V2 = VIDEOMAE.model_copy(
    update={
        "name": "videomae-v2",
        "paper": "Wang et al., VideoMAE V2: Scaling Video Masked Autoencoders with Dual Masking, "
        "CVPR 2023",
        "year": 2023,
        "summary": "VideoMAE, and only half of what is hidden is asked for.",
        "differs": "The half that is asked is drawn at random, not by running cells, and never "
        "among seen tokens; otherwise as videomae.",
        "mask": Mask(groups=TubeGroups(), budget=RatioBudget(ratio=0.9), ask=0.5),
    }
)

MAE_ST = Recipe(
    name="mae-st",
    paper="Feichtenhofer et al., Masked Autoencoders As Spatiotemporal Learners, NeurIPS 2022",
    year=2022,
    summary="MAE with nine tenths of the tokens hidden, wherever and whenever they are.",
    differs="A token's whole content is predicted, not one frame of it; fixed positions; one clip "
    "of a sample a step.",
    mask=Mask(budget=RatioBudget(ratio=0.9)),
    target=_NORMALISED,
)

AUDIOMAE = Recipe(
    name="audiomae",
    paper="Huang et al., Masked Autoencoders that Listen, NeurIPS 2022",
    year=2022,
    summary="MAE with four fifths of the tokens hidden and a decoder that looks around itself: "
    "neighbours in time and frequency say most of a spectrogram.",
    differs="Windows shift along every coordinate, not time only; dot-product attention in pre-"
    "norm blocks, not Swin V2's; the decoder has the encoder's proportions, not 16 blocks.",
    mask=Mask(budget=RatioBudget(ratio=0.8)),
    decoder=SelfDecoder(window=(4.0,)),
    target=_NORMALISED,
)

MSM_MAE = Recipe(
    name="msm-mae",
    paper="Niizumi et al., Masked Spectrogram Modeling using Masked Autoencoders, HEAR 2022",
    year=2022,
    summary="MAE on raw, not normalised content.",
    differs="Positions of the decoder are those of the encoder, not one-dimensional.",
    target=Content(),
)

COLORMAE = Recipe(
    name="colormae",
    paper="Hinojosa et al., ColorMAE: Exploring Data-Independent Masking Strategies, ECCV 2024",
    year=2024,
    summary="MAE whose noise has a middle (green) band of waves, so masks are patchy but even.",
    differs="The band is made of random plane waves on the tokens' coordinates; the paper filters "
    "white noise with two Gaussians and crops a fixed stack of maps.",
    mask=Mask(priority=FilteredPriority(low=0.1, high=0.25)),
    target=_NORMALISED,
)

BEIT_BLOCK = Recipe(
    name="beit-block",
    paper="Bao et al., BEiT: BERT Pre-Training of Image Transformers, ICLR 2022 (its mask)",
    year=2022,
    summary="Blocks of neighbours are hidden by mask tokens inside the encoder; content is asked.",
    differs="Content instead of visual words: the mask of BEiT alone.",
    mask=Mask(priority=BlockPriority(), budget=RatioBudget(ratio=0.4)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    target=_NORMALISED,
    loss=SquaredLoss(),
)

ATTMASK = Recipe(
    name="attmask",
    paper="Kakogeorgiou et al., What to Hide from Your Students: Attention-Guided Masked Image "
    "Modeling, ECCV 2022",
    year=2022,
    summary="What a moving average of the encoder attends to most is hidden.",
    differs="MAE predicts content behind it; the paper's student is iBOT.",
    mask=Mask(priority=AttentionPriority(random=0.5), budget=RatioBudget(ratio=0.6)),
    target=_NORMALISED,
    teacher=EmaTeacher(),
)

HPM = Recipe(
    name="hpm",
    paper="Wang et al., Hard Patches Mining for Masked Image Modeling, CVPR 2023",
    year=2023,
    summary="MAE that hides what a moving average foresees to be hard, first none of it, later as "
    "much as half of what is hidden.",
    differs="Whole samples are judged by a mask token at every place beside the seen ones, not at "
    "the seen ones; pairs weigh the same for each token where samples differ in length; the "
    "average's momentum follows half a cosine, not a line of 100 epochs.",
    mask=Mask(priority=DifficultyPriority(start=0.0, end=0.5)),
    target=_NORMALISED,
    teacher=EmaTeacher(start=0.999, end=0.9999),
    also=(Goal(decoder=SelfDecoder(), target=Difficulty(), loss=RankLoss()),),
)

TST = Recipe(
    name="tst",
    paper="Zerveas et al., A Transformer-based Framework for Multivariate Time Series "
    "Representation Learning, KDD 2021",
    year=2021,
    summary="Short runs of single lines are hidden by mask tokens inside the encoder.",
    differs="Runs have one length from a random start, not a geometric one; hidden tokens are a "
    "learned vector, not zeros; layer norm instead of batch norm.",
    mask=Mask(priority=SpanPriority(axis=0, length=3), budget=RatioBudget(ratio=0.15)),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
)

TERA = Recipe(
    name="tera",
    paper="Liu et al., TERA: Self-Supervised Learning of Transformer Encoder Representation for "
    "Speech, TASLP 2021",
    year=2021,
    summary="Runs of whole moments are hidden by mask tokens; absolute error on raw content.",
    differs="Alteration in time only, by a learned vector, of tokens instead of frames.",
    mask=Mask(
        priority=SpanPriority(axis=0, length=2, shared=True),
        groups=FrameGroups(),
        budget=RatioBudget(ratio=0.15),
    ),
    corruption=MaskToken(),
    decoder=LinearDecoder(),
    loss=AbsoluteLoss(),
)

RECIPES = (
    CROSSMAE, VIDEOMAE, VIDEOMAE_V2, MAE_ST, AUDIOMAE, MSM_MAE, COLORMAE, BEIT_BLOCK,
    ATTMASK, HPM, TST, TERA,
)  # fmt: skip

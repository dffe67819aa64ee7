"""Targets: what the answer should be."""

from anymae.targets.assignments import Assignments
from anymae.targets.balanced import Balanced
from anymae.targets.codes import Codes
from anymae.targets.content import Content
from anymae.targets.difficulty import Difficulty
from anymae.targets.features import Features
from anymae.targets.hog import Hog
from anymae.targets.links import Links
from anymae.targets.morphed import MorphedFeatures
from anymae.targets.pooled import PooledFeatures
from anymae.targets.projections import Projections
from anymae.targets.prototypes import Prototypes
from anymae.targets.sets import Count, Surface
from anymae.targets.siblings import Siblings
from anymae.targets.target import Scene, Target

__all__ = [
    "Assignments",
    "Balanced",
    "Codes",
    "Content",
    "Count",
    "Difficulty",
    "Features",
    "Hog",
    "Links",
    "MorphedFeatures",
    "PooledFeatures",
    "Projections",
    "Prototypes",
    "Scene",
    "Siblings",
    "Surface",
    "Target",
]

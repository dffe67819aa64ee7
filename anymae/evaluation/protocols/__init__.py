"""Protocols: how features are judged, one small file each, found by name."""

from anymae.evaluation.protocols.few_shot import FewShot
from anymae.evaluation.protocols.forecasting import ForecastingProbe
from anymae.evaluation.protocols.imputation import Imputation
from anymae.evaluation.protocols.knn import NearestNeighbours
from anymae.evaluation.protocols.linear import LinearProbe
from anymae.evaluation.protocols.protocol import Problem, Protocol
from anymae.evaluation.protocols.svm import SupportVectors

__all__ = [
    "FewShot",
    "ForecastingProbe",
    "Imputation",
    "LinearProbe",
    "NearestNeighbours",
    "Problem",
    "Protocol",
    "SupportVectors",
]

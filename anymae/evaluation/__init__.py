"""Evaluation: what features are worth, with labels and without, and fine-tuning."""

from anymae.evaluation.comparison import evaluate
from anymae.evaluation.diagnosis import Diagnosis, diagnose
from anymae.evaluation.finetuning import FineTuned, finetune
from anymae.evaluation.scores import Score, Scores

__all__ = ["Diagnosis", "FineTuned", "Score", "Scores", "diagnose", "evaluate", "finetune"]

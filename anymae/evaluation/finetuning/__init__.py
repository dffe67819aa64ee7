"""Fine-tuning: a pretrained encoder with a new head, trained on labels."""

from anymae.evaluation.finetuning.config import FinetuneConfig
from anymae.evaluation.finetuning.finetune import finetune
from anymae.evaluation.finetuning.tuned import FineTuned

__all__ = ["FineTuned", "FinetuneConfig", "finetune"]

"""Weights in: released checkpoints of other projects become anymae models, whole or not at all."""

from anymae.interop.importing import Imported, import_checkpoint
from anymae.interop.report import LoadReport

__all__ = ["Imported", "LoadReport", "import_checkpoint"]

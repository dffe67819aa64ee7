"""Sources: whatever a user passes as a data set, as one thing with ``[i]`` and ``len``."""

from anymae.data.sources.dispatch import open_source
from anymae.data.sources.source import Source, Subset

__all__ = ["Source", "Subset", "open_source"]

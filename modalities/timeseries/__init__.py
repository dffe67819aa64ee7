"""Time series: patches of steps, with any number of channels, gaps and uneven times."""

from anymae.modalities.timeseries.series import Series

__all__ = ["Series"]

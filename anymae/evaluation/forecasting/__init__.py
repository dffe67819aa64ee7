"""Forecasting: the steps that follow a look-back, predicted from frozen or fine-tuned features."""

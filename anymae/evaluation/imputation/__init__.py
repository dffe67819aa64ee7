"""Imputation: what is missing in a sample, said by a masked autoencoder."""

from anymae.evaluation.imputation.impute import impute

__all__ = ["impute"]

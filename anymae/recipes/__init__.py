"""Recipes made of modality-blind parts, by family; found by ``anymae.recipes()``.

Every module here with a ``RECIPES`` tuple is read.
"""

"""Recipes made of modality-blind parts, by family. ``anymae.recipes()`` lists all recipes.

Every module here with a ``RECIPES`` tuple is read.
"""

import sys

from anymae.listing import Listing

sys.modules[__name__].__class__ = Listing

"""The built-in adapters, one folder each: ``anymae.modalities.<name>``.

Reached through the link ``anymae/modalities`` only, so that no class exists twice.
``anymae.modalities()`` lists all adapters.
"""

import sys

if __name__ != "anymae.modalities":
    raise ImportError(f"{__name__!r} is a folder of anymae: import 'anymae.modalities' instead")

from anymae.listing import Listing

sys.modules[__name__].__class__ = Listing

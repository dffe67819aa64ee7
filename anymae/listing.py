"""Packages that can be called: ``anymae.recipes`` is a folder, ``anymae.recipes()`` lists it.

Importing a sub-package sets it as an attribute of its parent, over a function of that name; so the
package itself answers the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any


class Listing(ModuleType):
    """A package whose call is the function of its name in ``anymae.registry``."""

    def __call__(self) -> Mapping[str, Any]:
        from anymae import registry

        listed: Mapping[str, Any] = getattr(registry, self.__name__.rpartition(".")[2])()
        return listed

"""Build hook: no package is built without its adapters and benchmarks.

They reach the package through two symbolic links, which zip snapshots and some clones turn into
text files or drop. An sdist holds plain folders in their place, which are just as good.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LINKED = {"modalities": "*/adapter.py", "benchmarks": "__init__.py"}


def fault(root: Path) -> str | None:
    """What is wrong with the linked folders of a source tree, in one line; None if all is well."""
    for name, content in LINKED.items():
        place = root / "anymae" / name
        if place.is_dir():
            found = None if any(place.glob(content)) else f"a folder without {content}"
        elif place.is_file():
            found = "a text file"
        else:
            found = "nothing"
        if found:
            return (
                f"anymae/{name} must be a symbolic link to ../{name}; found {found}. "
                "Clone with git and core.symlinks=true, or build from the sdist."
            )
    return None


class LinkedFolders(BuildHookInterface[Any]):
    """Stops every build (sdist, wheel, editable) of a source tree with a fault."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        line = fault(Path(self.root))
        if line:
            self.app.abort(line)

"""What became of every tensor of an imported checkpoint, and of every tensor of the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class LoadReport:
    """Nothing is left out: each tensor of the source is in ``used`` (its name -> ours) or in
    ``unused`` (its name -> why); each tensor of ours that the source does not fill is in
    ``unfilled`` (our name -> what it holds instead). ``assumed`` are settings that the source
    does not tell (setting -> value and ground). ``layout`` is the project it comes from, ``where``
    the file, folder or class.
    """

    layout: str
    where: str
    used: Mapping[str, str]
    unused: Mapping[str, str]
    unfilled: Mapping[str, str]
    assumed: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain types, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        lines = [f"{self.layout} from {self.where}: {len(self.used)} tensors used"]
        for title, names in (("not used", self.unused), ("not filled", self.unfilled)):
            for reason in dict.fromkeys(names.values()):
                of_reason = [name for name in names if names[name] == reason]
                lines.append(f"{title}, {reason}: {', '.join(of_reason)}")
        lines += [f"assumed, {name}: {value}" for name, value in self.assumed.items()]
        return "\n".join(lines)

"""Which members of a tar shard are one item, and what its label says.

Members that share everything up to the first dot of their base name are one item, and lie beside
one another: the member with one of the adapter's endings is the sample, ``.cls`` or ``.json`` its
label. Other members are left alone, whatever they are called; names that begin with a dot are
hidden.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from anymae.adapter import Adapter
from anymae.data.sources.columns import LABEL_KEYS
from anymae.data.sources.files import readable
from anymae.data.sources.tar_walk import Member, walk
from anymae.errors import BadInput
from anymae.limits import Limits

_LABEL_ENDINGS: Final = (".cls", ".json")


def items_of(
    shard: str, adapter: Adapter, limits: Limits
) -> Iterator[tuple[Member, Member | None]]:
    """(sample, label) members of one shard, in order."""
    seen: set[str] = set()
    with open(shard, "rb") as file:
        visible = (m for m in walk(file, limits) if not _base(m).startswith("."))
        for key, group in itertools.groupby(visible, _key):
            members = list(group)
            if key in seen:
                raise BadInput(
                    "the members of one key are not beside one another",
                    where=f"byte {members[0].header}",
                    found=f"key {key!r} again",
                    hint="Sort the members by name before writing the shard.",
                )
            seen.add(key)
            item = _item(key, members, adapter)
            if item is not None:
                yield item


def _base(member: Member) -> str:
    return member.name.rpartition("/")[2]


def _key(member: Member) -> str:
    folder, slash, base = member.name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _item(
    key: str, members: Sequence[Member], adapter: Adapter
) -> tuple[Member, Member | None] | None:
    """The sample and the label of one key; None for files that are neither."""
    samples = [m for m in members if readable(m.name, adapter)]
    labels = [m for m in members if m.name.lower().endswith(_LABEL_ENDINGS)]
    if len(samples) == 1:
        return samples[0], next(iter(sorted(labels)), None)
    if not samples and not labels:
        return None
    raise BadInput(
        f"each key needs one sample that the {adapter.name} adapter reads",
        where=f"byte {members[0].header}",
        found=f"key {key!r} with {', '.join(repr(_base(m)) for m in members[:10])}",
        expected=f"one of {' '.join(adapter.extensions) or 'nothing: it reads no files'}",
    )


def parse_label(data: bytes) -> Any:
    """The label in a ``.cls`` or ``.json`` member: a number, a name, or a field of an object."""
    text = data.decode("utf-8").strip()
    try:
        value = json.loads(text)
    except RecursionError:
        raise BadInput("the label is nested too deeply") from None
    except ValueError:
        return text
    if not isinstance(value, Mapping):
        return value
    for key in (*LABEL_KEYS, "cls", "class"):
        if key in value:
            return value[key]
    raise BadInput("no label in the JSON", found=f"keys {list(value)[:20]}", expected="'label'")

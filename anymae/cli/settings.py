"""Settings as typed on the command line: ``key=value`` pairs and YAML or JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from anymae.errors import BadConfig
from anymae.limits import LIMITS

SIZE_LIMIT = 1_000_000


def parsed(pairs: list[str]) -> dict[str, Any]:
    """``["decoder.depth=4", "mask.ratio=0.6"]`` as a mapping; values are read as YAML scalars.
    Raises ``BadConfig``."""
    found: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise BadConfig("not a setting", found=repr(pair), expected="key=value")
        if key in found:
            raise BadConfig(f"{key} is set twice")
        found[key] = _value(text)
    return found


def _value(text: str) -> Any:
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):  # e.g. of the month 13
        return text
    if isinstance(value, str):
        try:
            return float(value)  # YAML 1.1 reads 1e-4 as a word
        except ValueError:
            return value
    return value


def from_file(path: Path) -> dict[str, Any]:
    """The mapping in a YAML or JSON file. Raises ``BadConfig`` naming the file."""
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise BadConfig("configuration too large", where=path, found=path.stat().st_size)
        text = path.read_text()
        _refuse_bomb(text, path)
        content = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        if isinstance(error, BadConfig):
            raise
        reason = getattr(error, "strerror", None) or str(error)
        raise BadConfig(f"cannot be read: {reason}", where=path) from None
    if not isinstance(content, dict) or not all(isinstance(k, str) for k in content):
        raise BadConfig("not a mapping of settings", where=path, found=type(content).__name__)
    return content


def _refuse_bomb(text: str, path: Path) -> None:
    """Few bytes of YAML can mean a lot: aliases of aliases, and levels within levels."""
    aliases = depth = 0
    for token in yaml.scan(text):
        aliases += isinstance(token, yaml.AliasToken)
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if aliases > LIMITS.yaml_aliases:
            raise BadConfig(f"more than {LIMITS.yaml_aliases} YAML aliases", where=path)
        if depth > LIMITS.json_depth:
            raise BadConfig(f"more than {LIMITS.json_depth} levels", where=path)


_OPENING = (
    yaml.FlowSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.BlockMappingStartToken,
)
_CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)

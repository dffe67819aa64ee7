"""Energy, where the processor tells: its running-average-power-limit counters (Linux powercap)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

ZONES = Path("/sys/class/powercap")


def joules(steps: Callable[[], None], zones: Path = ZONES) -> float | None:
    """What all packages used while ``steps`` ran, other programs included; None where no counter
    can be read."""
    before = _read(zones)
    steps()
    after = _read(zones)
    if not before or before.keys() != after.keys():
        return None
    used = 0
    for zone, start in before.items():
        turned = after[zone] < start  # counters begin again at their largest value
        used += after[zone] - start + turned * _number(zone / "max_energy_range_uj")
    return used / 1e6


def _read(zones: Path) -> dict[Path, int]:
    """Microjoules counted by each package; its parts (``intel-rapl:0:1``) are within it."""
    packages = [path for path in zones.glob("intel-rapl:*") if path.name.count(":") == 1]
    try:
        return {path: _number(path / "energy_uj") for path in packages}
    except OSError:
        return {}


def _number(path: Path) -> int:
    return int(path.read_text())

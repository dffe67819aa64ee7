"""Memory stays flat over a long run, and shards are not loaded whole."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest

from ..data.tiny import tar
from . import formats
from .launching import children

MB = 2**20
SIDE = 128
COUNTS = {"few": 1200, "many": 8200}
"""Pictures of noise, 48 kB each: 60 and 400 MB. The looks before training, at 1,024 samples at
most, cost the same for both."""
STEPS = 2100
ROWS_A_GROUP = 80
KEPT = 32 * MB
"""Decoded row groups that each process may keep; 512 MB unless told."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads memory in /proc"),
]


def shards(count: int) -> Iterator[list[bytes]]:
    """Pictures, a thousand at a time."""
    for first in range(0, count, 1000):
        numbers = range(first, min(first + 1000, count))
        yield [formats.png(number, size=(SIDE, SIDE)) for number in numbers]


def tar_shards(folder: Path, count: int) -> str:
    for shard, part in enumerate(shards(count)):
        tar(folder / f"{shard}.tar", [(f"{i:04d}.png", picture) for i, picture in enumerate(part)])
    return f"{folder}/*.tar"


def parquet_shards(folder: Path, count: int) -> str:
    import pyarrow as pa
    from pyarrow import parquet

    for shard, part in enumerate(shards(count)):
        table = pa.table({"image": part})
        parquet.write_table(table, folder / f"{shard}.parquet", row_group_size=ROWS_A_GROUP)
    return f"{folder}/*.parquet"


def number_of(path: Path, name: str) -> int:
    """A size in kB out of a file of /proc, in bytes; 0 of a process that has ended."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


class Watched:
    """What a run and its workers hold: ``sizes`` at regular moments after a warm-up of its first
    quarter, and the most that each process ever had resident (``peak``, together)."""

    def __init__(self, data: str, out: Path, steps: int) -> None:
        self.sizes: list[int] = []
        peaks: dict[int, int] = {}
        command = [sys.executable, "-c", TRAINS, data, str(out), str(steps), str(KEPT)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None:
                family = [process.pid, *children_of(process.pid)]
                places = [Path(f"/proc/{one}") for one in family]
                for one, place in zip(family, places, strict=True):
                    peaks[one] = max(peaks.get(one, 0), number_of(place / "status", "VmHWM"))
                if len(family) == 3 and rows_in(out / "history.csv") * 20 >= steps / 4:
                    held = [number_of(place / "smaps_rollup", "Pss") for place in places]
                    if all(held):  # none has ended meanwhile
                        self.sizes.append(sum(held))
                try:
                    process.wait(0.5)
                except subprocess.TimeoutExpired:
                    continue
            assert process.returncode == 0, process.stderr.read()
        assert len(peaks) == 3
        self.peak = sum(peaks.values())


def children_of(process: int) -> list[int]:
    try:
        return children(process)
    except OSError:
        return []


def rows_in(history: Path) -> int:
    return history.read_text().count("\n") - 1 if history.exists() else 0


TRAINS = """
import sys
import torch
torch.set_num_threads(1)
import anymae
from anymae.data.sources import open_source
from anymae.limits import LIMITS
from anymae.registry import modality
data, out, steps, kept = sys.argv[1:]
limits = LIMITS.model_copy(update={"parquet_kept_bytes": int(kept)})
source = open_source(data, modality("image")(), limits=limits)
anymae.pretrain(source, "image", out=out, modality_options={"patch_size": 32},
    size="nano", steps=int(steps), batch_size=8, precision="fp32",
    **{"training.workers": 2, "training.ema": 0.999, "training.log_every": 20,
       "training.checkpoint_every": 100})
"""


@pytest.mark.parametrize("write", [tar_shards, parquet_shards])
def test_memory_is_flat_and_shards_are_not_loaded_whole(tmp_path, write):
    watched = {}
    for name, count in COUNTS.items():
        (tmp_path / name).mkdir()
        steps = STEPS if name == "many" else 40
        data = write(tmp_path / name, count)
        watched[name] = Watched(data, tmp_path / f"run-{name}", steps)
    sizes, peak, least = watched["many"].sizes, watched["many"].peak, watched["few"].peak
    size = sum(path.stat().st_size for path in (tmp_path / "many").iterdir())
    assert size > 400 * 1000**2
    tenth = len(sizes) // 10
    before, after = median(sizes[:tenth]), median(sizes[-tenth:])
    print(
        f"{write.__name__}: {before / MB:.0f} MB after {STEPS // 4} steps, {after / MB:.0f} MB at "
        f"the end; peak {peak / MB:.0f} MB, on {COUNTS['few']} pictures {least / MB:.0f} MB"
    )
    assert after - before < min(0.05 * before, 50 * MB)
    assert peak - least < size / 3

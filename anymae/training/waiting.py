"""Waiting for data: how much of a run it is, and what preparing them takes its time with."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator

from anymae.data.batches import Batch

STARVED = 0.2
"""Share of the time that training may wait before it is worth a word."""
SETTLED = 20
"""Steps that are not judged: loader processes start, kernels are chosen."""


class Waiting:
    """Watches one process's batches come in; says once, by ``warn``, if training starves."""

    def __init__(self, workers: int, warn: Callable[[str], None]) -> None:
        self.workers, self.warn = workers, warn
        self._seen = self._samples = 0
        self._waited = 0.0
        self._spent: Counter[str] = Counter()
        self._since = time.perf_counter()

    def watched(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches."""
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            self._seen += 1
            self._waited += time.perf_counter() - start
            self._samples += len(batch.drawn)
            self._spent.update(batch.spent)
            yield batch

    def share(self) -> float:
        """The share of the time since the last call that went by waiting. Warns if that is much."""
        now = time.perf_counter()
        waited = self._waited / max(now - self._since, 1e-9)
        if waited > STARVED and self._seen > SETTLED:
            self.warn(self._said(waited, now - self._since))
            self.warn = lambda text: None
        self._since, self._waited, self._samples = now, 0.0, 0
        self._spent.clear()
        return waited

    def _said(self, waited: float, seconds: float) -> str:
        slowest, spent = self._spent.most_common(1)[0]
        each = 1e3 * sum(self._spent.values()) / max(self._samples, 1)
        asked = self._samples / max(seconds * (1 - waited), 1e-9)
        part = spent / max(sum(self._spent.values()), 1e-9)
        return (
            f"training waits for data {waited:.0%} of the time: a sample takes {each:.1f} ms to "
            f"prepare ({slowest} is {part:.0%} of it), the model could take {asked:.0f} a second, "
            f"and there are {self.workers} loader processes. Set training.workers to more, or "
            "store the data smaller."
        )

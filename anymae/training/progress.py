"""What a user sees while training: a live line on a terminal, an occasional one elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

QUIET_SECONDS = 30
"""Seconds between lines where the output is not a terminal."""


def console() -> Console:
    """Where progress and notices go: standard error, so that output can be piped."""
    return Console(stderr=True, highlight=False)


def notice(text: str) -> None:
    """One line for the user, on standard error."""
    console().print(text, markup=False, soft_wrap=True)


class ProgressLine:
    """Shows history rows; a context manager. ``shown=False`` (other ranks) shows nothing."""

    def __init__(self, steps: int, done: int, shown: bool) -> None:
        self._console = console()
        self._shown, self._steps = shown, steps
        self._live: Progress | None = None
        self._last = time.monotonic()
        if shown and self._console.is_terminal:
            columns = (BarColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
            self._live = Progress(*columns, console=self._console)
            self._task = self._live.add_task("starting", total=steps, completed=done)

    def __enter__(self) -> ProgressLine:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if self._live:
            self._live.stop()

    def show(self, row: dict[str, Any]) -> None:
        """Show a history row."""
        if not self._shown:
            return
        text = describe(row, self._steps)
        if self._live:
            self._live.update(self._task, completed=row["step"], description=text)
        elif row["step"] == self._steps or time.monotonic() - self._last > QUIET_SECONDS:
            self._last = time.monotonic()
            notice(text)


def describe(row: dict[str, Any], steps: int) -> str:
    """One line for a history row."""
    parts = [f"step {row['step']:,}/{steps:,}"]
    if "loss" in row:  # no step since the last row may have been good
        parts.append(f"loss {row['loss']:.4f}")
    if "validation_loss" in row:
        parts.append(f"validation {row['validation_loss']:.4f}")
    if "explained_variance" in row:
        parts.append(f"explained {row['explained_variance']:.1%}")
    parts.append(f"{row['tokens_per_second']:,.0f} tokens/s")
    if row["skipped_steps"]:
        parts.append(f"{row['skipped_steps']} steps skipped")
    return "  ".join(parts)

"""Keeping: from what training moves to checkpoints, and back."""

from __future__ import annotations

from anymae.config import validated
from anymae.errors import BadConfig, CheckpointError
from anymae.training.checkpoint import Checkpoints, Circumstances, Snapshot
from anymae.training.distributed import World
from anymae.training.setup import Progress
from anymae.training.trained import Trained


class Keeper:
    """Writes and reads checkpoints of ``trained`` for all processes of a world together."""

    def __init__(self, trained: Trained, checkpoints: Checkpoints, world: World) -> None:
        self.trained, self.checkpoints, self.world = trained, checkpoints, world

    def save(self, progress: Progress) -> None:
        """A checkpoint of the last finished step, by the leading process. Raises
        ``CheckpointError``."""
        tensors = self.trained.tensors()
        here = self._circumstances()
        snapshot = Snapshot(progress.step, tensors, progress.model_dump(), here)
        with self.world.together():
            if self.world.leads:
                self.checkpoints.save(snapshot, spare=progress.checkpoint)

    def load(self, upto: int | None = None) -> Progress | None:
        """Take the tensors of the newest sound checkpoint (of step ``upto`` at most); returns its
        progress, or None if there is none. Raises ``CheckpointError``."""
        snapshot = self.checkpoints.newest(self.trained.wanted(), upto)
        if snapshot is None:
            return None
        try:
            progress = validated(Progress, snapshot.state, f"checkpoint of step {snapshot.step}")
        except BadConfig as error:
            raise CheckpointError(str(error)) from None
        self.trained.load(snapshot.tensors)
        changed = snapshot.circumstances.differences(self._circumstances())
        if changed and self.world.leads:
            self.checkpoints.warn(
                f"continuing exactly but for rounding: step {snapshot.step} was computed with "
                + ", ".join(changed)
            )
        return progress

    def _circumstances(self) -> Circumstances:
        return Circumstances.here(self.world.size, self.world.device)

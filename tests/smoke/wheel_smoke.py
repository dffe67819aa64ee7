"""Is the wheel whole? Run by ``make wheel`` where it is installed, away from the checkout."""

import subprocess
import sys
from pathlib import Path

import numpy as np

import anymae
import anymae.benchmarks
import anymae.modalities.image


def main() -> None:
    """Look for everything that must be in the wheel, then pretrain, load and embed."""
    for module in (anymae, anymae.benchmarks, anymae.modalities.image):
        place = Path(str(module.__file__))
        assert place.is_relative_to(sys.prefix), f"{place} is not the wheel's"
    package = Path(str(anymae.__file__)).parent
    assert (package / "py.typed").is_file()
    assert not (package / "modalities").is_symlink()

    images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3), dtype=np.uint8)
    run = anymae.pretrain(
        images, modality="image", size="nano", steps=3, batch_size=8, out="run", device="cpu"
    )
    assert np.isfinite([row["loss"] for row in run.history if "loss" in row]).all()
    features = anymae.load("run").embed(images)
    assert features.shape == (len(images), run.model.width)

    command = Path(sys.executable).with_name("anymae")
    assert "image" in subprocess.check_output([command, "modalities"], text=True)
    print(f"anymae {anymae.__version__}: the wheel pretrains, loads and embeds")


if __name__ == "__main__":
    main()

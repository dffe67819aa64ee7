"""Training says when it waits for data, how much, and what takes the time."""

import time

import numpy as np
import pytest

import anymae
from anymae.data.batches import Batch
from anymae.training import waiting
from anymae.training.waiting import Waiting
from tests.training.small import digits, pretrain


class Slow:
    """Images that take a while to read."""

    def __len__(self):
        return 64

    def __getitem__(self, index):
        time.sleep(0.004)
        return digits()[index]


def batches(pause: float, count: int = 30):
    for i in range(count):
        time.sleep(pause)
        yield Batch(None, [(0, i), (0, i + 1)], spent={"reading": 3 * pause, "tokenizing": pause})


def used(watch: Waiting, pause: float, work: float) -> float:
    for _ in watch.watched(batches(pause)):
        time.sleep(work)
    return watch.share()


def test_a_starved_run_says_why_once():
    said = []
    watch = Waiting(3, said.append)
    assert used(watch, 0.004, 0.001) > 0.5
    (text,) = said
    assert "reading is 75%" in text
    assert "3 loader processes" in text
    assert "training.workers" in text
    used(watch, 0.004, 0.0)
    assert len(said) == 1


def test_a_fed_run_says_nothing():
    said = []
    watch = Waiting(0, said.append)
    assert used(watch, 0.0, 0.003) < 0.2
    assert said == []


def test_the_share_is_in_the_history(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(waiting, "SETTLED", 4)
    run = pretrain(tmp_path / "slow", data=Slow(), steps=8, batch_size=8)
    assert run.history[-1]["waiting"] > 0.2
    assert "reading" in capsys.readouterr().err
    assert "waiting" in (run.path / "history.csv").read_text().splitlines()[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_what_preparing_took_comes_with_the_batch(tmp_path, workers):
    seen = []
    real = Waiting.watched

    def watched(self, found):
        for batch in real(self, found):
            seen.append(batch.spent)
            yield batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Waiting, "watched", watched)
        anymae.pretrain(
            np.asarray(digits()), "image", size="nano", steps=2, batch_size=8, out=tmp_path / "run",
            **{"training.workers": workers},
        )  # fmt: skip
    assert [set(one) for one in seen] == [{"reading", "augmenting", "tokenizing"}] * 2
    assert all(seconds > 0 for one in seen for seconds in one.values())

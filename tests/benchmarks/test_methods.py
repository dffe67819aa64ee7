"""Comparisons of methods: what is said of them follows from the runs."""

import numpy as np
import pytest
from scipy import stats

from anymae.benchmarks.quality.methods import against_mae, table


def test_differences_are_paired_by_seed():
    rows = {
        "raw": {"values": [0.5]},
        "mae": {"values": [0.6, 0.7, 0.8]},
        "other": {"values": [0.65, 0.74, 0.86]},
        "third": {"refused": "needs edges"},
    }
    against_mae(rows)
    change = np.array([0.05, 0.04, 0.06])
    wanted = stats.t.interval(0.95, 2, change.mean(), stats.sem(change))
    assert rows["other"]["over_mae"] == pytest.approx(0.05)
    assert rows["other"]["interval"] == pytest.approx(wanted)
    assert "over_mae" not in rows["raw"]
    assert rows["third"] == {"refused": "needs edges"}


def test_bold_is_what_excludes_zero():
    task = {
        "mae": {"mean": 0.7},
        "better": {"mean": 0.8, "over_mae": 0.1, "interval": [0.05, 0.15]},
        "worse": {"mean": 0.6, "over_mae": -0.1, "interval": [-0.15, -0.05]},
        "same": {"mean": 0.71, "over_mae": 0.01, "interval": [-0.05, 0.07]},
        "cannot": {"refused": "needs time"},
    }
    cells = dict(line.strip("| ").split(" | ") for line in table({"image": task}).splitlines()[2:])
    assert cells == {
        "mae": "0.700",
        "better": "**0.800 (+0.100)**",
        "worse": "**0.600 (-0.100)**",
        "same": "0.710 (+0.010)",
        "cannot": "refuses",
    }

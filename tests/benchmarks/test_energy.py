"""Energy is read from counters that turn over, and never invented."""

from anymae.benchmarks.speed.energy import joules


def counters(folder, **values):
    for name, value in values.items():
        zone = folder / f"intel-rapl:{name[1:].replace('_', ':')}"
        zone.mkdir(exist_ok=True)
        (zone / "energy_uj").write_text(f"{value}\n")
        (zone / "max_energy_range_uj").write_text("1000000\n")


def test_packages_are_added_and_their_parts_are_not(tmp_path):
    counters(tmp_path, p0=100_000, p1=999_000, p0_1=5)

    def work():
        counters(tmp_path, p0=600_000, p1=4_000, p0_1=400_005)

    assert joules(work, tmp_path) == 0.5 + 0.005  # the second turned over


def test_where_nothing_can_be_read_there_is_no_number(tmp_path):
    ran = []
    assert joules(lambda: ran.append(1), tmp_path) is None
    (tmp_path / "intel-rapl:0").mkdir()
    assert joules(lambda: ran.append(2), tmp_path) is None
    assert ran == [1, 2]

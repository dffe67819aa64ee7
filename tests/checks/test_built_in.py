"""Every modality that is here keeps every promise."""

import pytest

import anymae
from anymae.errors import MissingExtra

every_modality = pytest.mark.parametrize("name", list(anymae.modalities()))


def check(name: str, **options) -> None:
    try:
        report = anymae.check_adapter(name, **options)
    except MissingExtra as error:
        pytest.skip(str(error))
    print(report)
    assert report.broken == ()


@every_modality
def test_a_modality_keeps_its_promises(name):
    check(name, skip=["learns"])


@pytest.mark.slow
@every_modality
def test_a_modality_learns(name):
    check(name, only=["learns"])

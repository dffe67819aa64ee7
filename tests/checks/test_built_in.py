"""Every modality that is here keeps every promise."""

import pytest

import anymae
from anymae.errors import MissingExtra


@pytest.mark.parametrize("name", list(anymae.modalities()))
def test_a_modality_keeps_every_promise(name):
    try:
        report = anymae.check_adapter(name)
    except MissingExtra as error:
        pytest.skip(str(error))
    print(report)
    assert report.broken == ()

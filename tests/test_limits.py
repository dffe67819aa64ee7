import pytest
from pydantic import ValidationError

from anymae.limits import LIMITS, Limits


def test_limits_are_those_promised():
    assert LIMITS.image_pixels == 64_000_000
    assert LIMITS.image_side == 16_384
    assert LIMITS.audio_seconds == 21_600
    assert LIMITS.zip_ratio == 200
    assert LIMITS.zip_member_bytes == 4_000_000_000


@pytest.mark.parametrize("wrong", [{"zip_ratio": 0}, {"zip_rato": 3}, {"points": "many"}])
def test_wrong_limits_are_refused(wrong):
    with pytest.raises(ValidationError):
        Limits(**wrong)


def test_limits_cannot_be_changed_behind_ones_back():
    with pytest.raises(ValidationError):
        LIMITS.zip_ratio = 1

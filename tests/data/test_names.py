import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymae.data.sources.names import Names


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]) | st.just("\udcff"))))
def test_names_are_those_put_in(names):
    assert list(Names(names)) == names
    assert pickle.loads(pickle.dumps(Names(names)))[:] == names


@pytest.mark.parametrize("index", [2, -1])
def test_past_the_end_is_an_error(index):
    with pytest.raises(IndexError):
        Names(["a", "b"])[index]

"""Our reader of protobuf's wire format beside protobuf itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import StringStringEntryProto, TensorProto

from geoseg.models.protobuf import wire_fields

TEXTS = st.text(max_size=200)


@given(TEXTS, st.lists(st.tuples(TEXTS, TEXTS), max_size=4), st.lists(st.integers(0, 2**62), max_size=5))
def test_texts_and_inner_messages_are_found_between_numbers(name, pairs, dims):
    tensor = TensorProto(name=name, dims=dims, data_type=1, double_data=[0.5] * len(pairs))
    for key, value in pairs:
        tensor.external_data.add(key=key, value=value)
    found = list(wire_fields(tensor.SerializeToString()))
    assert [part.decode() for number, part in found if number == 8] == [name] * tensor.HasField("name")
    entries = [StringStringEntryProto.FromString(part) for number, part in found if number == 13]
    assert [(entry.key, entry.value) for entry in entries] == pairs


@given(st.binary(max_size=60))
def test_what_is_no_message_is_an_error_or_harmless(data):
    try:
        assert all(part in data for _, part in wire_fields(data))
    except ValueError as error:
        assert "cut off" in str(error) or "not used" in str(error)


@pytest.mark.parametrize("data", [b"\x0a", b"\x0a\x05abc", b"\x80", b"\x0b", b"\x09abc", b"\x08\xff"])
def test_what_is_cut_off_is_an_error(data):
    with pytest.raises(ValueError, match=r"cut off|not used"):
        list(wire_fields(data))

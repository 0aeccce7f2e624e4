"""That a kernel is compiled for its arguments as Triton's launcher would."""

from __future__ import annotations

import pytest
from triton._C.libtriton import native_specialize_impl
from triton.backends.compiler import BaseBackend

from harness.inspect.compiler import _is_aligned, _type


@pytest.mark.parametrize("value", [0, 1, 2, 16, 4096, 4097, 1 << 31, -1, True, False, 0.5, 1.0, None], ids=repr)
def test_arguments_are_specialised_as_the_launcher_does(value: object) -> None:
    kind, key = native_specialize_impl(BaseBackend, value, False, True, True)
    assert _type(value, special=True) == kind
    assert _is_aligned(value) == (key == "D")


def test_tensors_are_taken_to_be_aligned() -> None:
    assert (_type("*bf16", special=True), _is_aligned("*bf16")) == ("*bf16", True)

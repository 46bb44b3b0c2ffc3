"""Freed memory that is kept for the next step: no number changes, and it goes back to the system afterwards."""

import platform
import resource

import pytest
import torch

from cmpae_toolkit import _memory


def faults(times: int) -> int:
    """How often the system had to hand out a page, or several, for arrays of 64 MB that are freed at once."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        torch.ones(2**24)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
def test_pages_are_handed_out_once():
    plain = faults(4)
    with _memory.kept_memory():
        faults(1)
        kept = faults(4)
    assert kept < plain / 4
    assert faults(4) > 4 * kept  # and it is as before


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    _memory._glibc.cache_clear()
    with _memory.kept_memory():
        assert _memory._glibc() is None
    _memory._glibc.cache_clear()

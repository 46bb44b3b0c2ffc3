"""The toolbox names its tools, and shows each of them at work (tests/test_doctest.py runs the examples)."""

import inspect

import pytest

from cmpae_toolkit import evidence

TOOLS = [(room, name) for room in (evidence.calibration, evidence.dirichlet, evidence.fusion, evidence.uncertainty) for name in vars(room)]
OWN = [(room, name) for room, name in TOOLS if inspect.isfunction(getattr(room, name)) and getattr(room, name).__module__ == room.__name__]


@pytest.mark.parametrize(("room", "name"), [(r, n) for r, n in OWN if not n.startswith("_")], ids=lambda x: getattr(x, "__name__", x))
def test_every_tool_has_a_name_and_an_example(room, name):
    assert ">>>" in getattr(room, name).__doc__
    assert name in evidence.__all__ and (room is evidence.dirichlet or getattr(evidence, name) is getattr(room, name))


def test_public_names_are_there():
    assert sorted(evidence.__all__) == sorted(set(evidence.__all__)) and all(hasattr(evidence, name) for name in evidence.__all__)

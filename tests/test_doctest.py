"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import numpy as np
import pytest
import torch

import cmpae_toolkit

MODULES = [m.name for m in pkgutil.walk_packages(cmpae_toolkit.__path__, "cmpae_toolkit.") if not m.name.endswith("cli")]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"np": np, "torch": torch}, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0

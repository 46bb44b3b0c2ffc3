"""Every example in a docstring runs and prints what it says, and every public function has one."""

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch

import cmpae_toolkit

MODULES = [m.name for m in pkgutil.walk_packages(cmpae_toolkit.__path__, "cmpae_toolkit.") if not m.name.endswith("cli")]
WINGS = ("data", "evidence", "evidence.fusion", "evidence.dirichlet", "explorer", "extract", "methods", "plots", "studies")
CORE = (
    "checkpoint", "config", "decode", "inference", "labels", "layers", "losses", "metrics", "model", "opinion", "released", "train",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, extraglobs={"np": np, "torch": torch}, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


@pytest.mark.parametrize("room", (*WINGS, *CORE))
def test_every_public_function_has_an_example(room):
    module = importlib.import_module(f"cmpae_toolkit.{room}")
    own = [name for name, x in vars(module).items() if not name.startswith("_") and getattr(x, "__module__", "") == module.__name__]
    functions = {name: f for name in getattr(module, "__all__", own) if inspect.isfunction(f := getattr(module, name))}
    assert functions and not [name for name, function in functions.items() if ">>>" not in (function.__doc__ or "")]

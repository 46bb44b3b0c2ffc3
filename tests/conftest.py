"""Shapes and types of the annotated functions are checked in every test; no test writes to the user's data folder."""

import os
import tempfile
import warnings
from pathlib import Path

from jaxtyping import install_import_hook

HOME = tempfile.TemporaryDirectory(prefix="cmpae-tests-")
os.environ["CMPAE_HOME"] = HOME.name  # the cache of noise ratios is shared between tests and thrown away
os.environ["MPLBACKEND"] = "agg"
for name in ("CMPAE_DATA", "CMPAE_PRESET", "CMPAE_FIGURES"):
    os.environ.pop(name, None)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    evidence = ("evidence.fusion", "evidence.uncertainty", "evidence.dirichlet")
    checked = ("opinion", "losses", "labels", "layers", "model", "methods.han", "methods.jomold", *evidence)
    HOOK = install_import_hook([f"cmpae_toolkit.{name}" for name in checked], "beartype.beartype")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from hypothesis import settings  # noqa: E402

torch.set_num_threads(1)  # tiny tensors: more threads only wait for each other
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items):
    skip = pytest.mark.skip(reason="needs a CUDA GPU")
    for item in items:
        if "requires_cuda" in item.keywords and not torch.cuda.is_available():
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _seeded():
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def shared():
    """The folder of published lists and real media beside the checkout."""
    if not SHARED.is_dir():
        pytest.skip("the folder shared/ with the published lists is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def tiny():
    """The simulated `tiny` sets: train, val, test."""
    from cmpae_toolkit.data import load

    return tuple(load("tiny", split) for split in ("train", "val", "test"))

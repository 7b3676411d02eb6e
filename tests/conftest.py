"""Shared by all tests: where the project and the landscapes of other people are."""
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SHARED_LANDSCAPES = ROOT.parent / "shared" / "landscapes"


@pytest.fixture(scope="session")
def shared_landscapes():
    """Folder of real exported landscapes; tests that need it are skipped where it is absent."""
    if not SHARED_LANDSCAPES.is_dir():
        pytest.skip("the folder of exported landscapes is not here")
    return SHARED_LANDSCAPES

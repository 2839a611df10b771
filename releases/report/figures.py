"""From `validators.pictures` to drawings."""

from typing import Any

Pictures = Any


def private_figures(pictures: Pictures) -> dict[str, Any]:
    """Return what the private page adds."""
    return {}


def public_figures(pictures: Pictures) -> dict[str, Any]:
    """Return what the public page adds."""
    return {}

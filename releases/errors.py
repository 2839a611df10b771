"""What this room raises: a release that a user must change, and a defect of ours."""

from sources.errors import UserError


class ReleaseError(Exception):
    """Base of what this room raises; raised itself for a defect of ours, such as publishing what was refused."""


class ReleaseInputError(ReleaseError, UserError):
    """A release, a folder or a name that the user must change."""

"""Errors of this room: one base, and the branch that a user can act on."""

from sources.errors import UserError


class ValidatorError(Exception):
    """Base of what this room raises."""


class ValidatorInputError(ValidatorError, UserError):
    """A policy, report or dataset that the user must change."""

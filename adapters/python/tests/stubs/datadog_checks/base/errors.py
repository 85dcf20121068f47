class CheckException(Exception):
    """An error of a check, whatever its cause."""


class ConfigurationError(CheckException):
    """A configuration that the check cannot use."""

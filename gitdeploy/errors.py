"""Everything gitdeploy can say no with: one base class, each message ends with what to do next."""


class GitdeployError(Exception):
    """The base: ``str(error)`` is one line for people; `details` are further lines for the one who wants to know."""

    exit_code = 1

    def __init__(self, message: str, *details: str) -> None:
        super().__init__(message)
        self.details = details


class BadName(GitdeployError):
    """A name that came from outside (app, environment, user, ref, command) is not one that we take."""

    exit_code = 2


class NotFound(GitdeployError):
    """What was asked for does not exist; the message names the nearest thing that does."""

    exit_code = 3


class ConfigError(GitdeployError):
    """gitdeploy.yaml, or what stands in its place, has mistakes; `details` has one line each, with file and line."""

    exit_code = 2


class Refused(GitdeployError):
    """The deploy is refused before its commit point: ref, running release and data are as they were."""


class CommandFailed(GitdeployError):
    """A child process failed or took too long; `details` are the last lines it wrote."""


class ServerRunning(GitdeployError):
    """Another server holds this home directory."""

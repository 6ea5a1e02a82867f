"""What can go wrong while the local stack starts or runs."""


class StackError(Exception):
    """The local stack cannot start or go on; the sentence says why."""


class DataFolderInUse(StackError):
    """Another stack runs in the same data folder."""


class ProcessDied(StackError):
    """A process ended that should be running."""

    def __init__(self, name: str, exit_code: int | None, log_tail: str) -> None:
        reason = f"exit code {exit_code}" if exit_code is None or exit_code >= 0 else f"killed by signal {-exit_code}"
        super().__init__(f"{name} stopped by itself ({reason}). Its log ends with:\n{log_tail or '(nothing)'}")
        self.name = name
        self.exit_code = exit_code
        self.log_tail = log_tail


class NotReady(StackError):
    """A process runs but did not become ready in time."""

    def __init__(self, name: str, *, seconds: float, log_tail: str) -> None:
        super().__init__(f"{name} was not ready after {seconds:.0f} s. Its log ends with:\n{log_tail or '(nothing)'}")
        self.name = name


class Interrupted(StackError):
    """The user asked to stop while the stack was still starting."""

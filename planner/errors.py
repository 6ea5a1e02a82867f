"""What the planner can't work with."""


class PlanError(Exception):
    """The sentence says what was found and what is allowed."""

"""How long the engine works on a segment: always the same, or at random."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from planner.errors import PlanError

NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
HELP = "0.2 | uniform 0.1..0.4 | exponential 0.2 | lognormal 0.2 cv 0.5 (the mean, and the deviation as a share of it)"
LONGEST_SECONDS = 86_400.0

Draw = Callable[[int, np.random.Generator], NDArray[np.float64]]


@dataclass(frozen=True)
class EngineSeconds:
    """A distribution of seconds."""

    text: str
    draw: Draw


def parse(text: str) -> EngineSeconds:
    """Read a number of seconds, or a distribution.

    Raises:
        PlanError: it is neither.
    """
    return EngineSeconds(text, _draw(text.strip()))


def _draw(text: str) -> Draw:
    if match := re.fullmatch(NUMBER, text):
        seconds = _bounded(match[1], text)
        return lambda count, _: np.full(count, seconds)
    if match := re.fullmatch(rf"uniform {NUMBER}\.\.{NUMBER}", text):
        least, most = (_bounded(each, text) for each in match.groups())
        if least <= most:
            return lambda count, rng: rng.uniform(least, most, count)
    if match := re.fullmatch(rf"exponential {NUMBER}", text):
        mean = _bounded(match[1], text)
        return lambda count, rng: rng.exponential(mean, count)
    if match := re.fullmatch(rf"lognormal {NUMBER} cv {NUMBER}", text):
        return _lognormal(_bounded(match[1], text), float(match[2]))
    raise PlanError(f"the engine's seconds are {text!r}; they may be {HELP}")


def _lognormal(mean: float, deviation: float) -> Draw:
    """Return a distribution that has this mean, and a deviation of so many times the mean."""
    sigma = np.sqrt(np.log1p(deviation**2))
    mu = np.log(mean) - sigma**2 / 2
    return lambda count, rng: rng.lognormal(mu, sigma, count)


def _bounded(number: str, text: str) -> float:
    seconds = float(number)
    if not 0 < seconds <= LONGEST_SECONDS:
        raise PlanError(f"the engine's seconds are {text!r}; they must be above 0 and at most {LONGEST_SECONDS:g}")
    return seconds

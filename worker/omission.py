"""What can't be spoken of a text: left out with a warning, where the engine itself would leave it out.

An engine that can't read a character may leave it out and warn, or refuse the text. Splitting hands it sentences of
which nothing is left, and these every engine refuses. So such a sentence is put beside one that sounds: what the engine
does then is what it would have done with the whole text.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from worker.batching import SharedEngine, synthesize
from worker.engine import Engine, Speech, UnspeakableText, Utterance
from worker.engine.text.characters import is_mark, is_readable
from worker.engine.text.segmentation import split

EXCERPT_CHARACTERS = 60

Result = Speech | UnspeakableText


def each_spoken(engine: Engine | SharedEngine, utterances: Sequence[Utterance]) -> tuple[list[Result], float]:
    """Speak the utterances in one call, or in as few as find those that can't be spoken; also return the time taken."""
    try:
        spoken = synthesize(engine, utterances)
    except UnspeakableText as error:
        if len(utterances) == 1:
            return [error], 0.0
    else:
        return list(spoken.speeches), spoken.seconds
    middle = len(utterances) // 2
    first, first_seconds = each_spoken(engine, utterances[:middle])
    last, last_seconds = each_spoken(engine, utterances[middle:])
    return first + last, first_seconds + last_seconds


def leave_out(
    engine: Engine | SharedEngine, utterances: Sequence[Utterance], results: Sequence[Result], *, whole: str
) -> tuple[list[str], float]:
    """Return a warning for each run of utterances that is left out, and the engine's seconds that it took to ask.

    Args:
        whole: the text of the job, where these are only its segment.
    Raises:
        UnspeakableText: the engine leaves nothing out, or nothing at all sounds.
    """
    pairs = list(zip(utterances, results, strict=True))
    refusals = [result for result in results if isinstance(result, UnspeakableText)]
    if not refusals:
        return [], 0.0
    heard = [utterance.text for utterance, result in pairs if isinstance(result, Speech)]
    company = min(heard, key=len) if heard else _first_that_sounds(whole)
    if company is None:
        raise refusals[0]
    runs = groupby(pairs, key=lambda pair: isinstance(pair[1], UnspeakableText))
    left = [" ".join(utterance.text for utterance, _ in run) for refused, run in runs if refused]
    asked = replace(utterances[0], text=" ".join([company, *left]))
    return [_warning(text) for text in left], synthesize(engine, [asked]).seconds


def _first_that_sounds(text: str) -> str | None:
    pieces = (piece.text for piece in split(text))
    return next((piece for piece in pieces if any(is_readable(c) and not is_mark(c) for c in piece)), None)


def _warning(text: str) -> str:
    shown = text if len(text) <= EXCERPT_CHARACTERS else f"{text[:EXCERPT_CHARACTERS]}…"
    return f"left out, as nothing in it can be spoken: {shown!r}"

"""Sentences that an engine can't read, in a text that it can: left out with a warning, or the text is refused."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from shared.jobs import JobState, Lane, Narration
from tests.engines import ObedientEngine
from tests.worker.conftest import World
from worker.attempt import Verdict
from worker.engine import Speech, UnspeakableText, Utterance

FOREIGN = "Привет мир."
LONG = "The quick brown fox jumps over the lazy dogs, and then it sleeps until noon. " * 6
FOREIGN_LONG = "Съешь же ещё этих мягких французских булок, да выпей чаю, мой друг. " * 6


class LenientEngine(ObedientEngine):
    """Leaves out what is not ASCII and warns; what holds nothing else it refuses, and so it does a word of Xs."""

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        readable = ["".join(filter(str.isascii, utterance.text)) for utterance in utterances]
        if any("XX" in text or not any(map(str.isalnum, text)) for text in readable):
            self.calls.append(len(utterances))
            raise UnspeakableText("nothing can be spoken")
        speeches = super().synthesize(utterances)
        return [
            speech if utterance.text.isascii() else replace(speech, warnings=("a character was left out",))
            for utterance, speech in zip(utterances, speeches, strict=True)
        ]


@pytest.fixture
def lenient(world: World) -> World:
    world.engine = LenientEngine()
    return world


def words(world: World, job_id: str) -> list[str]:
    return [word for word, _, _ in world.audio(job_id).words]


@pytest.mark.parametrize("batch_size", [1, 2, 8])
@pytest.mark.parametrize("text", [f"{FOREIGN} One. Two.", f"One. {FOREIGN} Two.", f"One. Two. {FOREIGN}"])
def test_the_other_sentences_are_spoken_and_the_warning_names_what_was_left_out(
    lenient: World, text: str, batch_size: int
) -> None:
    lenient.engine.batch_size = batch_size
    job_id = lenient.submit(text)

    lenient.deliver(job_id)

    assert words(lenient, job_id) == ["One.", "Two."]
    assert lenient.audio(job_id).warnings == (f"left out, as nothing in it can be spoken: '{FOREIGN}'",)


def test_they_sound_as_if_nothing_stood_between_them(lenient: World) -> None:
    plain, mixed = lenient.submit("One. Two."), lenient.submit(f"One. {FOREIGN} Two. {FOREIGN}")
    lenient.deliver(plain)
    lenient.deliver(mixed)

    assert lenient.stored(mixed) == lenient.stored(plain)


def test_the_pause_of_a_paragraph_stays(lenient: World) -> None:
    plain, mixed = lenient.submit("One.\n\nTwo."), lenient.submit(f"One. {FOREIGN}\n\nTwo.")
    lenient.deliver(plain)
    lenient.deliver(mixed)

    assert lenient.audio(mixed).seconds == lenient.audio(plain).seconds


def test_a_long_stretch_is_one_warning_with_its_beginning(lenient: World) -> None:
    job_id = lenient.submit(f"One. {FOREIGN_LONG} Two.")

    lenient.deliver(job_id)

    (warning,) = lenient.audio(job_id).warnings
    assert FOREIGN_LONG[:60] in warning
    assert len(warning) < 150


def test_the_engine_is_asked_once_and_in_as_few_calls_as_find_the_sentence(lenient: World) -> None:
    lenient.engine.batch_size = 8
    job_id = lenient.submit(f"One. Two. Three. Four. Five. {FOREIGN} Seven. Eight.")

    lenient.deliver(job_id)

    assert lenient.engine.calls == [8, 4, 4, 2, 1, 1, 2, 1]
    assert lenient.engine.spoken[-1] == f"One. {FOREIGN}"


def test_a_text_of_which_nothing_sounds_fails(lenient: World) -> None:
    job_id = lenient.submit(f"{FOREIGN} {FOREIGN}")

    assert lenient.deliver(job_id).verdict is Verdict.ACKNOWLEDGE
    assert lenient.failure(job_id) == "unspeakable_text"


@pytest.mark.parametrize("text", ["One. Say XX. Two.", f"One. {FOREIGN} Say XX."])
def test_what_the_engine_refuses_in_company_too_is_refused(lenient: World, text: str) -> None:
    job_id = lenient.submit(text)

    lenient.deliver(job_id)

    assert lenient.failure(job_id) == "unspeakable_text"
    assert lenient.objects.objects == {}


def test_an_engine_that_leaves_nothing_out_refuses_the_job(world: World) -> None:
    job_id = world.submit("One. Please mumble this. Two.")

    world.deliver(job_id)

    assert world.failure(job_id) == "unspeakable_text"


def long_job(world: World, text: str) -> str:
    job_id = world.submit(text, long=True, lane=Lane.BULK)
    world.work_off(job_id, "plan")
    return job_id


def test_a_segment_of_which_nothing_sounds_leaves_the_others_as_they_are(lenient: World) -> None:
    job_id = long_job(lenient, f"{LONG}\n\n{FOREIGN_LONG}\n\n{LONG}")

    job = lenient.jobs.jobs[job_id]
    first, silent, last = lenient.segments(job_id)
    assert (job.state, job.segments_total) == (JobState.SUCCEEDED, 3)
    assert first.seconds == last.seconds > 20
    assert silent.seconds < 0.1
    assert lenient.audio(job_id).warnings == silent.warnings
    assert FOREIGN_LONG[:60] in silent.warnings[0]


def test_its_silence_is_not_found_by_a_job_of_that_text_alone(lenient: World) -> None:
    long_job(lenient, f"{LONG}\n\n{FOREIGN_LONG}\n\n{LONG}")
    alone = lenient.submit(FOREIGN_LONG.strip(), format="flac")

    lenient.deliver(alone)

    assert lenient.failure(alone) == "unspeakable_text"


def test_a_long_text_of_which_nothing_sounds_fails(lenient: World) -> None:
    job_id = long_job(lenient, f"{FOREIGN_LONG}\n\n{FOREIGN_LONG}")

    assert lenient.failure(job_id) == "unspeakable_text"


def test_a_segment_that_the_engine_refuses_fails_the_job(world: World) -> None:
    job_id = long_job(world, f"{LONG}\n\n{'Please mumble this very long sentence about nothing. ' * 12}\n\n{LONG}")

    assert world.failure(job_id) == "unspeakable_text"


def test_a_part_of_a_chapter_that_is_left_out_has_no_length(lenient: World) -> None:
    job_id = lenient.submit(f"One. {FOREIGN} Two.", long=True, lane=Lane.BULK, narration=Narration())
    lenient.work_off(job_id, "plan")

    times = lenient.audio(job_id).parts
    assert [end > start for start, end in times] == [True, False, True]
    assert list(times) == sorted(times)
    assert len(lenient.audio(job_id).warnings) == 1

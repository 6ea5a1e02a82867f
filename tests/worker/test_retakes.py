"""An utterance of a chapter that does not sound as it should is spoken again; nothing else is."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

from shared.jobs import JobState, Lane, Narration
from tests.engines import ObedientEngine
from tests.fakes import InMemoryJobStore, InMemoryObjectStore, InMemoryQueue
from tests.worker.conftest import World
from tests.worker.speechlike import FAULTY, RATE, speechlike
from worker.engine import Speech, Utterance
from worker.quality import Reason
from worker.retakes import MOST_RETAKES, seed_of
from worker.settings import WorkerSettings

PLAIN = Narration()
SOUND = "The rain went on for three days, and nobody came."


class MoodyEngine(ObedientEngine):
    """Sounds like speech. A text with the name of a fault has it, in as many takes as it is told."""

    hums = False
    sample_rate = RATE

    def __init__(self, bad_takes: int, *, batch_size: int = 1, seeds: bool = True) -> None:
        super().__init__(batch_size=batch_size)
        self.bad_takes = bad_takes
        self.seeds = seeds
        self.takes: list[tuple[str, int]] = []

    def synthesize(self, utterances: Sequence[Utterance]) -> list[Speech]:
        return [self._take(utterance) for utterance in utterances]

    def _take(self, utterance: Utterance) -> Speech:
        self.takes.append((utterance.text, utterance.seed))
        number = sum(text == utterance.text for text, _ in self.takes)
        waveform = speechlike(utterance.text, utterance.seed if self.seeds else 0)
        faulty = [name for name in FAULTY if name in utterance.text] if number <= self.bad_takes else []
        samples = FAULTY[faulty[0]](waveform.samples) if faulty else waveform.samples
        return Speech(replace(waveform, samples=samples))


def spoken(world: World, engine: MoodyEngine, text: str, *, narration: Narration | None = PLAIN) -> str:
    world.engine = engine
    job_id = world.submit(text, long=True, lane=Lane.BULK, narration=narration)
    world.work_off(job_id, "plan")
    assert world.jobs.jobs[job_id].state is JobState.SUCCEEDED
    return job_id


@pytest.mark.parametrize("name", FAULTY)
def test_only_the_sentence_with_a_fault_is_spoken_again(world: World, name: str) -> None:
    engine = MoodyEngine(bad_takes=1)
    faulty = f"Then there was a {name} in the sentence, and all that came behind it."

    job_id = spoken(world, engine, f"{SOUND} {faulty}")

    assert engine.takes == [(SOUND, 0), (faulty, 0), (faulty, seed_of(0, 1))]
    (retake,) = world.audio(job_id).retakes
    assert retake.startswith("segment 1, sentence 2 was spoken again: ")
    assert world.audio(job_id).warnings == ()


def test_the_take_that_is_kept_is_the_good_one(world: World) -> None:
    faulty = "Then there was a hole in the sentence, and all that came behind it."
    job_id = spoken(world, MoodyEngine(bad_takes=1), faulty)

    heard, good = world.heard(job_id), speechlike(faulty, seed_of(0, 1))
    chapter_pause = 3.0
    assert heard.seconds - chapter_pause == pytest.approx(good.seconds, abs=0.03)


def test_a_fault_that_stays_is_told_and_costs_no_more_than_two_takes(world: World) -> None:
    engine = MoodyEngine(bad_takes=99)

    job_id = spoken(world, engine, "Then there was a hole in the sentence.")

    assert len(engine.takes) == 1 + MOST_RETAKES
    assert world.audio(job_id).warnings == (
        f"sentence 1 may not sound right, and was spoken again in vain: {Reason.SILENCE}",
    )


def test_an_engine_that_does_not_go_by_the_seed_is_asked_once_more_only(world: World) -> None:
    engine = MoodyEngine(bad_takes=99, seeds=False)

    spoken(world, engine, "Then there was a hole in the sentence.")

    assert len(engine.takes) == 2


@pytest.mark.parametrize("batch_size", [1, 8])
def test_the_audio_is_the_same_in_whatever_batches_it_is_spoken(world: World, batch_size: int) -> None:
    text = f"{SOUND} Then there was a hole in the sentence. It never ended."
    other = World(InMemoryJobStore(), InMemoryObjectStore(), InMemoryQueue(), ObedientEngine(), WorkerSettings())

    one = spoken(world, MoodyEngine(bad_takes=1, batch_size=batch_size), text)
    two = spoken(other, MoodyEngine(bad_takes=1, batch_size=2), text)

    assert world.audio(one).sha256 == other.audio(two).sha256


def test_a_retake_is_counted(world: World) -> None:
    before = REGISTRY.get_sample_value("emotivoice_retakes_total", {"reason": "silence"}) or 0

    spoken(world, MoodyEngine(bad_takes=1), "Then there was a hole in the sentence.")

    assert REGISTRY.get_sample_value("emotivoice_retakes_total", {"reason": "silence"}) == before + 1


def test_a_job_that_is_no_chapter_is_left_as_it_is(world: World) -> None:
    engine = MoodyEngine(bad_takes=99)

    job_id = spoken(world, engine, "Then there was a hole in the sentence.", narration=None)

    assert len(engine.takes) == 1
    assert world.audio(job_id).retakes == ()


def test_an_engine_that_hums_is_not_judged(world: World) -> None:
    job_id = world.submit("今天天气真好，我们去公园散步吧。", long=True, lane=Lane.BULK, narration=Narration())
    world.work_off(job_id, "plan")

    assert len(world.engine.spoken) == 1
    assert world.audio(job_id).retakes == ()


def test_a_seed_of_another_take_is_its_own() -> None:
    seeds = [seed_of(seed, take) for seed in range(50) for take in (1, 2)]

    assert len(set(seeds)) == 100
    assert all(0 <= seed < 2**31 for seed in seeds)

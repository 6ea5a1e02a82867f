"""Callers of one engine that come together are spoken together, and a failure is its own job's alone."""

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from audio.waveform import Waveform, silence
from tests.engines import ObedientEngine
from tests.waiting import wait_for
from worker.batching import PATIENCE_SECONDS, SharedEngine, Spoken, hurrying, leave_engine, synthesize
from worker.engine import DeviceLost, EngineError, Imitation, ReferenceClip, Speech, Utterance

SENTENCE = "Hello there, number"


@pytest.fixture
def engine() -> ObedientEngine:
    return ObedientEngine(batch_size=8)


@pytest.fixture
def shared(engine: ObedientEngine) -> SharedEngine:
    shared = SharedEngine(engine)
    shared.warm_up()
    return shared


def spoken_together(shared: SharedEngine, jobs: Sequence[Sequence[str]]) -> list[Future[Spoken]]:
    """Have each job speak its texts in one call, all of them at one time."""
    with ThreadPoolExecutor(len(jobs)) as pool:
        seats = [shared.seat() for _ in jobs]

        def speak(number: int) -> Spoken:
            with seats[number]:
                return synthesize(shared, [Utterance(text, "hum") for text in jobs[number]])

        return [pool.submit(speak, number) for number in range(len(jobs))]


def test_jobs_that_come_together_are_spoken_in_one_batch(engine: ObedientEngine, shared: SharedEngine) -> None:
    spoken = spoken_together(shared, [[f"{SENTENCE} {number}" + "!" * number] for number in range(8)])

    assert engine.calls == [8]
    lengths = [one.result().speeches[0].waveform.seconds for one in spoken]
    assert lengths == sorted(set(lengths))  # each got its own


def test_the_engine_is_called_in_the_thread_that_warmed_it_up(engine: ObedientEngine, shared: SharedEngine) -> None:
    threads: set[str] = set()
    engine.after_each = lambda _: threads.add(threading.current_thread().name)

    spoken_together(shared, [["One."], ["Two."]])

    assert threads == {engine.warmed_up_in} != {threading.current_thread().name}


def test_a_clip_is_imitated_in_the_same_thread_between_two_batches(
    engine: ObedientEngine, shared: SharedEngine
) -> None:
    clip = ReferenceClip(silence(4.0, 16_000), (1.0,))

    with ThreadPoolExecutor(2) as pool:
        imitation = pool.submit(shared.imitate, clip)
        spoken = pool.submit(shared.synthesize, [Utterance("Meanwhile.", "hum")])

    assert imitation.result().numbers == (400.0,)
    assert engine.imitated == [clip]
    assert len(spoken.result().speeches) == 1


def test_imitations_and_the_engines_own_voices_are_spoken_in_one_batch(
    engine: ObedientEngine, shared: SharedEngine
) -> None:
    spoken = shared.synthesize([Utterance("One.", Imitation("hum", (440.0,))), Utterance("Two.", "buzz")])

    assert engine.calls == [2]
    assert [crossings(one.waveform) for one in spoken.speeches] == [pytest.approx(880, 0.05), pytest.approx(220, 0.05)]


def crossings(waveform: Waveform) -> float:
    return float(np.sum(np.diff(np.signbit(waveform.samples))) / waveform.seconds)


def test_who_asks_for_an_imitation_hears_why_there_is_none(engine: ObedientEngine, shared: SharedEngine) -> None:
    def fail(clip: ReferenceClip) -> Imitation:
        raise EngineError("the clip has no pitch")

    engine.imitate = fail
    with pytest.raises(EngineError, match="no pitch"):
        shared.imitate(ReferenceClip(silence(4.0, 16_000), (1.0,)))

    assert len(shared.synthesize([Utterance("It goes on.", "hum")]).speeches) == 1


def test_an_engine_that_cannot_warm_up_says_so(engine: ObedientEngine) -> None:
    def fail() -> None:
        raise EngineError("the kernels do not compile")

    engine.warm_up = fail

    with pytest.raises(EngineError, match="do not compile"):
        SharedEngine(engine).warm_up()


def test_a_batch_is_not_larger_than_the_engine_likes(engine: ObedientEngine, shared: SharedEngine) -> None:
    spoken_together(shared, [["One.", "Two.", "Three."]] * 5)

    assert sorted(engine.calls) == [3, 6, 6]


def test_a_job_larger_than_a_batch_is_spoken(engine: ObedientEngine, shared: SharedEngine) -> None:
    (spoken,) = spoken_together(shared, [["Hello."] * 20])

    assert len(spoken.result().speeches) == 20


@pytest.mark.parametrize("poison", ["Please refuse this.", "Please overflow.", "Please exhaust.", "Please break this."])
def test_one_poison_among_eight_fails_alone(engine: ObedientEngine, shared: SharedEngine, poison: str) -> None:
    texts = [[f"{SENTENCE} {number}"] for number in range(8)]
    texts[5] = [poison]

    spoken = spoken_together(shared, texts)

    assert [one.exception() is not None for one in spoken] == [number == 5 for number in range(8)]
    assert engine.calls == [8, 4, 4, 2, 1, 1, 2]


@pytest.mark.parametrize(
    "poison", ["There is a nan here.", "It is silence.", "It is empty.", "Please systemexit.", "Please interrupt."]
)
def test_nonsense_among_eight_is_the_fault_of_one(engine: ObedientEngine, shared: SharedEngine, poison: str) -> None:
    texts = [[f"{SENTENCE} {number}"] for number in range(8)]
    texts[2] = [poison]

    spoken = spoken_together(shared, texts)

    assert [one.exception() is not None for one in spoken] == [number == 2 for number in range(8)]


def test_all_that_fail_are_found(engine: ObedientEngine, shared: SharedEngine) -> None:
    refused = {0, 3, 4}

    spoken = spoken_together(shared, [["Please refuse." if number in refused else "Hello."] for number in range(6)])

    assert {number for number, one in enumerate(spoken) if one.exception()} == refused


class _Tensors:
    """What a call has on the GPU."""


def test_what_a_failed_call_had_in_memory_is_gone_before_the_next(engine: ObedientEngine, shared: SharedEngine) -> None:
    speak = engine.synthesize
    held: list[weakref.ref[_Tensors]] = []
    alive: list[int] = []

    def forward(utterances: Sequence[Utterance]) -> list[Speech]:
        tensors = _Tensors()
        held.append(weakref.ref(tensors))
        return speak(utterances)

    def synthesize(utterances: Sequence[Utterance]) -> list[Speech]:
        alive.append(sum(each() is not None for each in held))
        try:
            return forward(utterances)
        except EngineError as error:
            raise EngineError("it could not be spoken") from error

    engine.synthesize = synthesize
    spoken = spoken_together(shared, [["Hello."], ["Please refuse."], ["Hello."], ["Please refuse."]])

    assert [one.exception() is not None for one in spoken] == [False, True, False, True]
    assert alive == [0] * 7
    assert [each() for each in held] == [None] * 7


def test_a_lost_gpu_is_told_to_everyone_and_not_tried_again(engine: ObedientEngine, shared: SharedEngine) -> None:
    spoken = spoken_together(shared, [["Hello."], ["Please unplug it."], ["Hello."]])

    assert [type(one.exception()) for one in spoken] == [DeviceLost] * 3
    assert engine.calls == [3]


def test_the_seconds_of_a_batch_are_shared_by_length(engine: ObedientEngine, shared: SharedEngine) -> None:
    engine.after_each = lambda _: time.sleep(0.02)

    short, long = spoken_together(shared, [["Hi!"], ["Hello there, my friend, and good morning to you!"]])

    assert short.result().seconds * 16 == pytest.approx(long.result().seconds)
    assert 0.04 <= short.result().seconds + long.result().seconds < 1


def test_a_batch_waits_for_a_job_that_is_coming_but_not_for_ever(engine: ObedientEngine, shared: SharedEngine) -> None:
    stuck = shared.seat()
    started = time.monotonic()

    spoken_together(shared, [["Hello."]])
    waited = time.monotonic() - started
    spoken_together(shared, [["Hello again."]])

    assert waited >= PATIENCE_SECONDS
    assert time.monotonic() - started - waited < PATIENCE_SECONDS  # it is not waited for twice
    stuck.leave()


def test_who_hurries_waits_for_no_other_job(engine: ObedientEngine, shared: SharedEngine) -> None:
    stuck = shared.seat()
    started = time.monotonic()

    with hurrying():
        synthesize(shared, [Utterance("Hello.", "hum")])

    assert time.monotonic() - started < PATIENCE_SECONDS / 2
    stuck.leave()


def test_a_job_that_has_left_is_not_waited_for(shared: SharedEngine) -> None:
    gone = threading.Event()

    def job(before: Callable[[], None]) -> None:
        with shared.seat():
            synthesize(shared, [Utterance("Hello.", "hum")])
            before()
            gone.wait(5)

    with ThreadPoolExecutor(1) as pool:
        storing = pool.submit(job, leave_engine)
        wait_for(lambda: shared.hungry() and not storing.done())
        started = time.monotonic()
        spoken_together(shared, [["Hello again."]])
        assert time.monotonic() - started < PATIENCE_SECONDS
        gone.set()


def test_it_is_hungry_until_the_next_batch_is_full(shared: SharedEngine) -> None:
    seats = [shared.seat() for _ in range(7)]
    assert shared.hungry()
    seats.append(shared.seat())
    assert not shared.hungry()
    seats.pop().leave()
    assert shared.hungry()

"""What who listens hears while it is spoken."""

from dataclasses import dataclass, field, replace

import numpy as np

from audio.encoding import decode
from shared.errors import StoreUnavailable
from shared.jobs import Lane, Narration
from shared.live import LivePiece
from tests.waiting import wait_for
from tests.worker.conftest import World
from worker.attempt import Verdict

TEXT = "One is here. ☺☺ Two, a little longer, comes after it.\n\nThree ends it."


@dataclass
class Heard:
    """Live speech in memory. `outage` is from which piece on the store is away."""

    world: World
    outage: int = 1000
    pieces: list[LivePiece] = field(default_factory=list[LivePiece])
    spoken: list[int] = field(default_factory=list[int])  # how many utterances were, with each piece

    def add(self, job_id: str, piece: LivePiece) -> None:
        if len(self.pieces) >= self.outage:
            raise StoreUnavailable
        self.pieces.append(piece)
        self.spoken.append(len(self.world.engine.spoken))

    @property
    def samples(self) -> np.ndarray:
        return np.frombuffer(b"".join(piece.samples for piece in self.pieces), "<i2")


def speak(world: World, text: str, *, outage: int = 1000, stream: bool = True) -> tuple[str, Heard]:
    heard = Heard(world, outage)
    job_id = world.submit(text)
    world.jobs.jobs[job_id] = replace(world.jobs.jobs[job_id], stream=stream)
    world.live = heard
    assert world.deliver(job_id).verdict is Verdict.ACKNOWLEDGE
    return job_id, heard


def test_each_utterance_is_heard_before_the_next_is_spoken(world: World) -> None:
    _, heard = speak(world, "One. Two. Three.")

    assert heard.spoken == [1, 2, 3, 3]
    assert [piece.last for piece in heard.pieces] == [False, False, False, True]


def test_what_is_heard_is_what_is_stored(world: World) -> None:
    job_id, heard = speak(world, TEXT)

    stored = np.rint(world.heard(job_id).samples.astype(np.float64) * 32768)
    assert len(heard.samples) == len(stored)
    assert np.max(np.abs(heard.samples - stored)) <= 1


def test_what_is_heard_of_a_chapter_is_what_is_stored(world: World) -> None:
    world.live = heard = Heard(world)
    job_id = world.submit("“One,” said John. [pause: 1]Two.", long=True, narration=Narration(dialogue_voice="buzz"))
    world.jobs.jobs[job_id] = replace(world.jobs.jobs[job_id], stream=True)
    world.deliver(job_id, "plan")
    world.deliver(job_id)

    stored = np.rint(decode(world.objects.objects[world.segments(job_id)[0].key]).samples.astype(np.float64) * 32768)
    assert len(heard.samples) == len(stored)
    assert np.max(np.abs(heard.samples - stored)) <= 1


def test_a_piece_tells_how_many_samples_are_before_it(world: World) -> None:
    _, heard = speak(world, TEXT)

    lengths = [len(piece.samples) // 2 for piece in heard.pieces]
    assert [piece.at for piece in heard.pieces] == [sum(lengths[:n]) for n in range(len(lengths))]


def test_an_engine_that_likes_batches_gets_the_first_utterance_alone(world: World) -> None:
    world.engine.batch_size = 8

    speak(world, "One. Two. Three. Four.")

    assert world.engine.calls == [1, 3]


def test_after_an_outage_nothing_is_sent_but_the_job_succeeds(world: World) -> None:
    job_id, heard = speak(world, "One. Two. Three.", outage=1)

    assert len(heard.pieces) == 1
    assert world.jobs.jobs[job_id].state == "succeeded"


def test_nothing_is_sent_where_nobody_listens(world: World) -> None:
    _, heard = speak(world, "One. Two.", stream=False)

    assert heard.pieces == []


def test_a_text_that_somebody_listens_to_is_planned_where_it_is_spoken(world: World) -> None:
    job = replace(world.jobs.jobs[world.submit("One.", long=True)], stream=True)

    assert {step: job.lane_of(step) for step in ("plan", "0", "join")} == {
        "plan": Lane.INTERACTIVE,
        "0": Lane.INTERACTIVE,
        "join": Lane.ASSEMBLY,
    }


def test_the_segments_behind_the_first_are_enqueued_while_it_is_spoken(world: World) -> None:
    job_id = world.submit("This is a sentence of a long text. " * 60, long=True)
    world.jobs.jobs[job_id] = replace(world.jobs.jobs[job_id], stream=True)

    assert world.deliver(job_id, "plan").verdict is Verdict.ACKNOWLEDGE

    _, *others = world.jobs.jobs[job_id].segments()
    wait_for(lambda: len(world.queue.messages) == len(others))
    assert world.queue.messages == [(job_id, step, Lane.INTERACTIVE) for step in others]

"""Have a book spoken: a job for each chapter that no usable job speaks as it is wanted."""

import hashlib
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from shared import jobs as lifecycle
from shared.advance import Books, Children, advance, encode_ahead, jobs_of
from shared.books import Book, Chapter, Wanted, chapter_fingerprint, chapter_request, usable
from shared.checking import Offer, offer_of
from shared.children import child_id
from shared.errors import AudioMissing, BookNotFound, InvalidMarks, NoCatalogue, StoreUnavailable, UnknownEmotion
from shared.jobs import Job, JobKind, Lane, Outcome
from shared.ports import ObjectStore
from shared.voice_library import as_named
from shared.voice_store import library_of
from worker import narration
from worker.lease import Lease, StepLost
from worker.runtime import Runtime

log = logging.getLogger(__name__)

CHAPTERS_AT_ONCE = 20  # a change writes the whole record of the book
MOST_PROBLEMS = 10  # with marks that are told


@dataclass(frozen=True)
class Ordered:
    """A chapter whose job was made just now."""

    chapter: Chapter
    fingerprint: str
    job: str


def render(job: Job, lease: Lease, runtime: Runtime) -> None:
    """Make a job for each chapter that needs one, record it in the book, and finish.

    Done twice, or gone on with after any of its steps, it makes the same jobs.

    Raises:
        StepLost: the job was cancelled or has ended, or another worker has the step.
        JobError: the book asks for what the engine has not, or a server is away.
    """
    books, children = stores(runtime)
    book = books.get(job.parent)
    if book is None:
        raise BookNotFound(job.parent)
    catalogue = runtime.jobs.catalogue()
    if catalogue is None:
        raise NoCatalogue
    offer = replace(offer_of(catalogue), library=library_of(book.tenant, runtime.voices))
    check_voicing(book, offer)
    if cast_anew(book, offer) != book:
        book = books.change(book.id, partial(cast_anew, offer=offer)) or book
    orders = _Orders(job, runtime.objects, books, children, catalogue.sample_rate)
    check_marks(book, orders.unspoken(book), offer, lease, runtime.objects)
    while book and orders.wanted(book) and (left := orders.unspoken(book)):
        lease.check()
        book = orders.place(book, left[:CHAPTERS_AT_ONCE])
    finish(lease, runtime)
    try_to_advance(job, runtime, spoken=[chapter.job for chapter in book.included] if book else [])


def stores(runtime: Runtime) -> tuple[Books, Children]:
    if runtime.books is None or runtime.children is None:
        raise RuntimeError(f"a worker of the lane {runtime.settings.lane} got a book")
    return runtime.books, runtime.children


def check_voicing(book: Book, offer: Offer) -> None:
    """Raise what is wrong with a voice or an emotion that is not there, or not any more."""
    catalogue = offer.catalogue
    for voice in dict.fromkeys(_voices(book)):
        offer.voice(as_named(voice))
    for emotion in (book.voicing.emotion, *(chapter.emotion for chapter in book.included if chapter.emotion)):
        if emotion not in catalogue.emotions and not catalogue.free_text_emotion:
            raise UnknownEmotion(emotion, catalogue.emotions)


def _voices(book: Book) -> Iterator[str]:
    yield book.voicing.voice
    yield from (chapter.voice for chapter in book.included if chapter.voice)
    yield from filter(None, [book.voicing.dialogue_voice, *book.voicing.speakers.values()])


def cast_anew(book: Book, offer: Offer) -> Book:
    """Return the book with its voices as they are now: one of the owner's own may have another clip."""

    def now(voice: str) -> str:
        return offer.voice(as_named(voice)) if voice != as_named(voice) else voice

    voicing = book.voicing
    speakers = {speaker: now(voice) for speaker, voice in voicing.speakers.items()}
    return replace(
        book,
        voicing=replace(
            voicing, voice=now(voicing.voice), dialogue_voice=now(voicing.dialogue_voice), speakers=speakers
        ),
        chapters=tuple(replace(one, voice=now(one.voice)) if one.included else one for one in book.chapters),
    )


def check_marks(book: Book, chapters: Sequence[Chapter], offer: Offer, lease: Lease, objects: ObjectStore) -> None:
    """Raise InvalidMarks for what marks ask for and can't have: the owner hears of it before anything is spoken."""
    problems = _problems(book, chapters, offer, lease, objects)
    if found := [*islice(problems, MOST_PROBLEMS)]:
        raise InvalidMarks(found, more=next(problems, None) is not None)


def _problems(
    book: Book, chapters: Sequence[Chapter], offer: Offer, lease: Lease, objects: ObjectStore
) -> Iterator[str]:
    emotions = () if offer.catalogue.free_text_emotion else offer.catalogue.emotions
    for chapter in chapters:
        lease.check()
        for problem in narration.check_marks(_text(book, chapter, objects), has_voice=offer.has, emotions=emotions):
            yield f"chapter {chapter.id}, {problem}"


@dataclass
class _Orders:
    """Places orders for chapters, each once."""

    job: Job  # this very step's
    objects: ObjectStore
    books: Books
    children: Children
    sample_rate: int
    placed: set[str] = field(default_factory=set[str])  # ids of jobs

    def wanted(self, book: Book) -> bool:
        """Whether this is still what the owner wants: not a pause, nor a later render."""
        return book.wanted is Wanted.RENDER and book.render_job == self.job.id

    def unspoken(self, book: Book) -> list[Chapter]:
        """Return the chapters that no usable job speaks as they are to be spoken."""
        jobs = jobs_of(book, self.children)
        return [chapter for chapter in book.included if not self._is_spoken(book, chapter, jobs)]

    def _is_spoken(self, book: Book, chapter: Chapter, jobs: Mapping[str, Job | None]) -> bool:
        same = chapter.spoken_as == chapter_fingerprint(book, chapter)
        return same and (chapter.job in self.placed or usable(jobs.get(chapter.job)))  # once: it may fail at once

    def place(self, book: Book, chapters: Sequence[Chapter]) -> Book | None:
        """Make jobs of the chapters and record them in the book; cancel what nobody wants any more."""
        made = [self._make(book, chapter) for chapter in chapters]
        self.placed |= {one.job for one in made}
        recorded = self.books.change(book.id, partial(self._recorded, made))
        wanted = {chapter.job for chapter in recorded.chapters} if recorded else set[str]()
        for job_id in {job_id for one in made for job_id in (one.job, one.chapter.job) if job_id} - wanted:
            self.children.cancel(job_id)
        return recorded

    def _make(self, book: Book, chapter: Chapter) -> Ordered:
        fingerprint = chapter_fingerprint(book, chapter)
        text = _text(book, chapter, self.objects)
        request = chapter_request(_with_its_words(book, text), chapter, text, sample_rate=self.sample_rate)
        ordered = Ordered(chapter, fingerprint, child_id(book.id, f"{chapter.id} {fingerprint} {book.renders}"))
        self.children.create(chapter_job(book, ordered, trace=self.job.trace), request)
        return ordered

    def _recorded(self, made: Sequence[Ordered], now: Book) -> Book | None:
        """Return the book with the jobs of those chapters that are still to be spoken so."""
        if not self.wanted(now):
            return None
        chapters = {one.id: one for one in now.chapters}
        for one in made:
            chapter = chapters.get(one.chapter.id)
            if chapter and chapter_fingerprint(now, chapter) == one.fingerprint:
                chapters[chapter.id] = replace(chapter, job=one.job, spoken_as=one.fingerprint)
        return replace(now, chapters=tuple(chapters.values()))


def chapter_job(book: Book, ordered: Ordered, *, trace: str) -> Job:
    """Return a new job that speaks a chapter."""
    return Job(
        id=ordered.job,
        lane=Lane.BULK,
        characters=ordered.chapter.characters,
        created_at=time.time(),
        long=True,
        segments_total=0,
        keep_seconds=book.keep_seconds,
        tenant=book.tenant,
        trace=trace,
        estimated_seconds=ordered.chapter.estimated_seconds,
        kind=JobKind.CHAPTER,
        parent=book.id,
    )


def _with_its_words(book: Book, text: str) -> Book:
    """Return the book with only those pronunciations that a chapter's text may have."""
    words = narration.words_in(book.voicing.pronunciations, text)
    return replace(book, voicing=replace(book.voicing, pronunciations=words))


def _text(book: Book, chapter: Chapter, objects: ObjectStore) -> str:
    key = book.text_key(chapter)
    data = b"".join(objects.read(key))
    if hashlib.sha256(data).hexdigest() != chapter.text_sha256:
        raise AudioMissing(key)
    return data.decode()


def finish(lease: Lease, runtime: Runtime) -> None:
    """Finish the only step of a job that makes no audio."""
    job, step = lease.started
    change = runtime.jobs.change(
        job.id, step.name, lambda now, own: lifecycle.finish_work(now, own, token=lease.token, now=time.time())
    )
    if change is None or change.outcome is not Outcome.APPLIED:
        raise StepLost(change.outcome if change else Outcome.MISSING)


def try_to_advance(job: Job, runtime: Runtime, *, spoken: Sequence[str] = ()) -> None:
    """See what the job's book needs next. The job has ended already: the sweeper does it if this fails.

    Args:
        spoken: jobs of chapters that may be encoded while others are still spoken.
    """
    books, children = stores(runtime)
    try:
        if not advance(job.parent, books=books, children=children):
            encode_ahead(job.parent, spoken, books=books, children=children)
    except StoreUnavailable:
        log.warning("Redis is away: the sweeper looks after the book", extra={"book": job.parent})

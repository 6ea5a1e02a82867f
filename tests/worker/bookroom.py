"""A worker of all lanes with a book, on in-memory ports."""

from dataclasses import dataclass, field, replace

from shared.books import Book, BookState, Wanted, state_of
from shared.children import child_id
from shared.jobs import Job, JobKind, JobState, Lane, SpeechRequest
from tests.engines import ObedientEngine
from tests.fake_books import BOOK_ID, InMemoryBooks, InMemoryChildren, chapter_of, new_book, with_texts
from tests.fake_voices import InMemoryVoices
from tests.fakes import CATALOGUE, InMemoryJobStore, InMemoryObjectStore, InMemoryQueue
from worker.attempt import Ending, attempt
from worker.runtime import Runtime
from worker.settings import WorkerSettings
from worker.steps import do_step

TEXTS = (("One", "The first chapter."), ("Two", "The second chapter.\n\nIt has two paragraphs."), ("Three", "The end."))
NOTHING = SpeechRequest("", "hum", "neutral", 1.0, 1.0, "flac", 16_000, 0)


@dataclass
class Bookroom:
    """The worker, its ports, and what the gateway does."""

    jobs: InMemoryJobStore = field(default_factory=InMemoryJobStore)
    objects: InMemoryObjectStore = field(default_factory=InMemoryObjectStore)
    queue: InMemoryQueue = field(default_factory=InMemoryQueue)
    engine: ObedientEngine = field(default_factory=ObedientEngine)
    books: InMemoryBooks = field(default_factory=InMemoryBooks)

    def __post_init__(self) -> None:
        self.children = InMemoryChildren(self.jobs, self.queue)
        self.jobs.announced = replace(CATALOGUE, blends=False)
        self.voices = InMemoryVoices()
        self.runtime = Runtime(
            WorkerSettings(),
            self.jobs,
            self.objects,
            self.queue,
            self.engine,
            voices=self.voices,
            children=self.children,
            books=self.books,
        )

    @property
    def book(self) -> Book:
        return self.books.books[BOOK_ID]

    @property
    def state(self) -> BookState:
        return state_of(self.book, self.jobs.jobs)

    @property
    def chapter_jobs(self) -> list[Job]:
        return [self.jobs.jobs[chapter.job] for chapter in self.book.chapters]

    def edition(self, format: str = "m4b") -> bytes:
        """Return the bytes of an edition that is there."""
        (edition,) = [one for one in self.book.editions if one.format == format]
        return self.objects.objects[self.jobs.stored[self.jobs.jobs[edition.job].audio_address or ""].key]

    def add_book(self, texts: tuple[tuple[str, str], ...] = TEXTS, **fields: object) -> None:
        book, objects = with_texts(new_book(**fields), texts)
        self.objects.objects |= objects
        self.books.put(book)

    def rewrite(self, chapter_id: str, text: str) -> None:
        """Give a chapter another text."""
        (known,) = [one for one in self.book.chapters if one.id == chapter_id]
        chapter, key, data = chapter_of(self.book, chapter_id, known.title, text)
        self.objects.objects[key] = data
        kept = replace(known, text_sha256=chapter.text_sha256, characters=chapter.characters)
        self.books.put(self.book.with_chapter(kept))

    def ask_for(self, kind: JobKind) -> str:
        """Make the job with which a book is read or rendered."""
        number = self.book.renders
        job_id = child_id(BOOK_ID, f"{kind} {number}")
        self.children.create(Job(job_id, Lane.ASSEMBLY, 0, 0.0, kind=kind, parent=BOOK_ID), NOTHING)
        return job_id

    def render(self, *formats: str, **fields: object) -> str:
        """Begin or go on, as the gateway does; return the id of the job of that."""
        number = self.book.renders + 1
        wanted = {"wanted": Wanted.RENDER, "renders": number, "formats": formats or ("m4b",), **fields}
        self.books.put(replace(self.book, **wanted))  # pyright: ignore[reportArgumentType] - named by the test
        job_id = self.ask_for(JobKind.RENDER)
        self.books.put(replace(self.book, render_job=job_id))
        return job_id

    def deliver(self, job_id: str, step: str = "0", *, redelivered: bool = False) -> Ending:
        """Hand the worker a message, as Celery's edge does."""

        def work(job: Job, request: SpeechRequest, lease: object) -> None:
            do_step(step, job, request, lease, self.runtime)  # pyright: ignore[reportArgumentType] - attempt's own

        return attempt(job_id, step, redelivered=redelivered, runtime=self.runtime, work=work)

    def work_off(self, *, last_first: bool = False, most: int = 1000) -> list[tuple[str, str]]:
        """Deliver the messages that wait, and all that come of them; return those that were."""
        done: list[tuple[str, str]] = []
        while self.queue.messages and len(done) < most:
            job_id, step, _ = self.queue.messages.pop(-1 if last_first else 0)
            ending = self.deliver(job_id, step)
            if ending.retry_seconds:
                self.queue.messages.append((job_id, step, Lane.ASSEMBLY))
            done.append((job_id, step))
        return done

    def states(self) -> list[JobState]:
        return [job.state for job in self.chapter_jobs]

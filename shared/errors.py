"""The failures that a client may see, each with a code that never changes."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from shared.access import TENANT_RULE
from shared.limits import Quota


class JobError(Exception):
    """A failure with a stable `code` and a sentence that says what was found and what is allowed."""

    code = "internal_error"
    retryable = False  # whether another attempt could end differently


class EmptyText(JobError):
    """There is nothing to speak."""

    code = "empty_text"

    def __init__(self) -> None:
        super().__init__("the text is empty; send at least one word")


class TextTooLong(JobError):
    """The text is longer than one job may carry."""

    code = "text_too_long"

    def __init__(self, length: int, *, limit: int) -> None:
        super().__init__(f"the text has {length} characters; a job may have {limit}")
        self.length = length
        self.limit = limit


class ControlCharacter(JobError):
    """The text holds a character that is neither text nor white space."""

    code = "control_character"

    def __init__(self, character: str, *, position: int) -> None:
        super().__init__(
            f"the text has the control character U+{ord(character):04X} at position {position}; "
            "only tab, line feed and carriage return are allowed"
        )
        self.position = position


class InvalidMark(JobError):
    """A mark in a chapter's text is none of ours, or says what can't be done."""

    code = "invalid_mark"
    allowed = ("[voice: NAME]", "[emotion: NAME 0.7]", "[pause: 1.5]", "[speed: 1.1]", "[word](/phonemes/)")

    def __init__(self, mark: str, *, paragraph: int, why: str) -> None:
        shown = mark if len(mark) <= 40 else f"{mark[:40]}…"
        super().__init__(
            f"paragraph {paragraph}: the mark {shown!r} can't be followed: {why}; "
            rf"there are {', '.join(self.allowed)}; a bracket that is no mark is written \["
        )
        self.paragraph = paragraph


class InvalidMarks(JobError):
    """Marks in the chapters of a book can't be followed, each told in a sentence; of many the first."""

    code = InvalidMark.code

    def __init__(self, found: Sequence[str], *, more: bool) -> None:
        super().__init__("; ".join([*found, *(["and there are more"] if more else [])]))


class _UnknownName(JobError):
    """A name is not among the ones we have; the nearest of them, and of the other names for them, are offered."""

    kind = ""

    def __init__(self, name: str, known: Iterable[str], *, names: Iterable[str] = ()) -> None:
        self.allowed = tuple(known)
        self.nearest = tuple(get_close_matches(name, [*self.allowed, *names], n=3, cutoff=0.4))
        hint = f"; nearest: {', '.join(self.nearest)}" if self.nearest else ""
        super().__init__(f"there is no {self.kind} {name!r}{hint}; there are {len(self.allowed)} {self.kind}s")


class UnknownVoice(_UnknownName):
    """No engine here has that voice."""

    code = "unknown_voice"
    kind = "voice"


class InvalidBlend(JobError):
    """The voice is a blend that can't be spoken."""

    code = "invalid_blend"

    def __init__(self, blend: str, why: str) -> None:
        super().__init__(f"the blend {blend!r} can't be spoken: {why}; write it like voice*0.7+other*0.3")


class UnsupportedControl(JobError):
    """The engine does not obey that control."""

    code = "unsupported_control"

    def __init__(self, control: str, *, engine: str, allowed: Iterable[str]) -> None:
        self.allowed = tuple(allowed)
        obeyed = f"it obeys {', '.join(self.allowed)}" if self.allowed else "it obeys none of its kind"
        super().__init__(f"the engine {engine} does not obey {control}; {obeyed}")


class UnknownEmotion(_UnknownName):
    """The engine has no such emotion, and takes no free text for one."""

    code = "unknown_emotion"
    kind = "emotion"
    param = "emotion"  # the field that asked for it


class ModelNotFound(_UnknownName):
    """No engine of that name speaks here."""

    code = "model_not_found"
    kind = "model"


class UnsupportedLanguage(JobError):
    """No voice reads that language, or not the one that was asked for."""

    code = "unsupported_language"

    def __init__(self, language: str, allowed: Iterable[str], *, voice: str = "") -> None:
        self.allowed = tuple(allowed)
        who = f"the voice {voice!r} does not read" if voice else "no voice here reads"
        super().__init__(f"{who} {language!r}; there is {', '.join(self.allowed)}")


class UnknownFormat(_UnknownName):
    """We don't write that audio format."""

    code = "unknown_format"
    kind = "format"


class UnsupportedSampleRate(JobError):
    """The format has no such sample rate."""

    code = "unsupported_sample_rate"

    def __init__(self, sample_rate: int, *, format: str, allowed: tuple[int, ...]) -> None:
        super().__init__(f"{format} can't have {sample_rate} Hz; it may have {', '.join(map(str, allowed))}")
        self.allowed = allowed


class BodyTooLarge(JobError):
    """The request is bigger than any valid one could be."""

    code = "body_too_large"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the request body is over {limit} bytes, which is the limit")
        self.limit = limit


class BodyTooSlow(JobError):
    """The client does not send the body that it has begun."""

    code = "body_too_slow"

    def __init__(self, *, seconds: float) -> None:
        super().__init__(f"the request body has not come within {seconds:g} s, and a second more for each 64 KiB of it")


class JobNotFound(JobError):
    """There is no such job, or it has been removed."""

    code = "job_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id!r}; it may have been removed or have expired")


class AudioNotReady(JobError):
    """The job has no audio, or none yet."""

    code = "audio_not_ready"

    def __init__(self, state: str) -> None:
        super().__init__(f"the job is {state}; only a job that succeeded has audio")
        self.state = state


class AudioExpired(JobError):
    """The job's time is over."""

    code = "audio_expired"

    def __init__(self) -> None:
        super().__init__("the job has expired and its audio is deleted; submit it again")


class AudioLost(JobError):
    """The job succeeded, but its audio is not in the object store any more, or not as it was stored."""

    code = "audio_lost"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the audio was lost and is being made again; ask for the job until it has succeeded")


class AudioMissing(JobError):
    """An object that should be there is gone from the object store."""

    code = "audio_missing"

    def __init__(self, key: str) -> None:
        super().__init__(f"the object {key} is not in the store as it was stored; submit the job again")


class IdempotencyConflict(JobError):
    """The key was used for another request."""

    code = "idempotency_conflict"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"this Idempotency-Key already belongs to job {job_id}, made from another request body")
        self.job_id = job_id


class WebhookNotFound(JobError):
    """There is no such webhook of this tenant."""

    code = "webhook_not_found"

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"there is no webhook {webhook_id}")


class DeliveryNotFound(JobError):
    """There is no such delivery, or no longer."""

    code = "delivery_not_found"

    def __init__(self, delivery_id: str) -> None:
        super().__init__(f"there is no delivery {delivery_id}; they are kept for a week")


class InvalidWebhookUrl(JobError):
    """Nothing would be sent to this URL."""

    code = "invalid_webhook_url"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the webhook's URL can't be used: {reason}")


class NoWebhookSecret(JobError):
    """The tenant has nothing to sign with what goes to its jobs' URLs."""

    code = "no_webhook_secret"

    def __init__(self) -> None:
        super().__init__("get a secret for your jobs' webhook_url first: POST /v1/webhooks/jobs/secret")


class TooManyWebhooks(JobError):
    """The tenant has as many as it may."""

    code = "too_many_webhooks"

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} webhooks already, and there may be no more")
        self.limit = limit


class InvalidCursor(JobError):
    """The cursor is not one that we gave out."""

    code = "invalid_cursor"

    def __init__(self) -> None:
        super().__init__("the cursor is not one that this API returned; leave it out to start from the newest job")


class QuotaExceeded(JobError):
    """The tenant has used up what it may have."""

    code = "quota_exceeded"

    def __init__(
        self, quota: Quota, *, limit: float, used: float, wanted: float, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(
            f"the quota {quota} is used up: {used:g} of {limit:g}"
            if used >= limit
            else f"the quota {quota} does not suffice: {used:g} of {limit:g} are used, and this needs {wanted:g}"
        )
        self.quota = quota
        self.limit = limit
        self.used = used
        self.wanted = wanted
        self.retry_after_seconds = retry_after_seconds  # None: it can't be told, or never


class LaneFull(Exception):
    """There are as many steps before a new job as there may be."""


class Overloaded(JobError):
    """The lane has more work than its jobs may wait for."""

    code = "overloaded"
    retryable = True

    def __init__(self, lane: str, *, limit_seconds: float, retry_after_seconds: float) -> None:
        super().__init__(f"the lane {lane} has work for more than {limit_seconds:g} s; come again later")
        self.retry_after_seconds = retry_after_seconds


class InvalidPeriod(JobError):
    """The days that were asked for are in the wrong order, or too many."""

    code = "invalid_period"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"`from` has to be before `to`, or the same day, and the time at most {limit} days")
        self.limit = limit


class InvalidTenant(JobError):
    """The header that names the tenant holds no name."""

    code = "invalid_tenant"

    def __init__(self, header: str) -> None:
        super().__init__(f"the header {header} is no tenant's name: {TENANT_RULE}")


class Unauthorized(JobError):
    """The request does not say who sends it, or can't be believed. The sentence repeats nothing of what was sent."""

    code = "unauthorized"

    def __init__(self, why: str, *, error: str = "invalid_token") -> None:
        super().__init__(why)
        self.challenge = error  # as RFC 6750 names it; empty if nothing was sent


class Forbidden(JobError):
    """The caller is known, and may not do this."""

    code = "forbidden"

    def __init__(self, *enough: str) -> None:
        super().__init__(f"this needs the scope {' or '.join(enough)}, which the token or key does not grant")
        self.scope = enough[0]


class AuthUnavailable(JobError):
    """The keys by which tokens are checked have never been there."""

    code = "auth_unavailable"
    retryable = True

    def __init__(self) -> None:
        super().__init__("tokens can't be checked: the issuer's keys have not been received yet; try again shortly")


class QueueUnavailable(JobError):
    """The broker did not confirm the message."""

    code = "queue_unavailable"
    retryable = True

    def __init__(self, reason: str = "") -> None:
        super().__init__(
            "the job queue did not take the job; nothing was accepted" + (f" ({reason})" if reason else "")
        )


class StoreUnavailable(JobError):
    """Redis did not answer."""

    code = "store_unavailable"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the job store does not answer")


class StorageUnavailable(JobError):
    """The object store did not answer, or refused."""

    code = "storage_unavailable"
    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"the object store could not be used: {reason}")


class NoCatalogue(JobError):
    """No worker has told yet which voices there are."""

    code = "no_worker_yet"
    retryable = True

    def __init__(self) -> None:
        super().__init__("no worker has started yet, so the voices are not known; try again shortly")


class EngineFailed(JobError):
    """The engine could not speak the text."""

    code = "engine_failed"


class InvalidAudio(JobError):
    """The engine spoke, and what came out is no speech. It may be a passing fault of its worker."""

    code = "invalid_audio"
    retryable = True


class OutOfMemory(JobError):
    """The text does not fit into a worker's memory. Workers of a lane are alike: another would fail too."""

    code = "out_of_memory"


class Unspeakable(JobError):
    """The engine can't read this text."""

    code = "unspeakable_text"


class TimedOut(JobError):
    """Speaking took longer than a segment may."""

    code = "timed_out"

    def __init__(self, *, limit_seconds: float) -> None:
        super().__init__(f"speaking one segment took longer than {limit_seconds:g} s")


class UnreadableBook(JobError):
    """The file is no book that can be read; the sentence says why."""

    code = "unreadable_book"


class EditionImpossible(JobError):
    """The chapters or the cover can't be put together in this format; the sentence says why."""

    code = "edition_impossible"


class BookNotFound(JobError):
    """There is no such book, or no longer."""

    code = "book_not_found"

    def __init__(self, book_id: str) -> None:
        super().__init__(f"there is no book {book_id!r}; it may have been deleted or have expired")


class BookConflict(JobError):
    """The book is not in a state in which this can be done."""

    code = "book_conflict"

    def __init__(self, doing: str, state: str, *, allowed: Iterable[str]) -> None:
        self.state = state
        self.allowed = tuple(allowed)
        super().__init__(f"the book is {state}; {doing} is possible while it is {' or '.join(self.allowed)}")


class ChapterNotFound(JobError):
    """The book has no such chapter."""

    code = "chapter_not_found"

    def __init__(self, chapter_id: str) -> None:
        super().__init__(f"the book has no chapter {chapter_id!r}")


class UnknownChapter(_UnknownName):
    """A chapter that is to be changed is none of the book's."""

    code = "unknown_chapter"
    kind = "chapter"


class InvalidOrder(JobError):
    """The chapters' new order leaves one out, or has one twice."""

    code = "invalid_order"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"`order` has to have each of the book's {limit} chapters once")
        self.limit = limit


class NothingIncluded(JobError):
    """No chapter of the book is to be spoken."""

    code = "nothing_included"

    def __init__(self) -> None:
        super().__init__("no chapter of the book is included; include at least one")


class ChapterTooLong(JobError):
    """A chapter would last longer than one worker can put it together."""

    code = "chapter_too_long"

    def __init__(self, chapter: str, hours: float, *, limit: float) -> None:
        super().__init__(
            f"chapter {chapter} would last {hours:.0f} hours; a chapter may last {limit:.0f}: leave it out, or send "
            "the book with headings that divide it"
        )


class InvalidCover(JobError):
    """The file is no picture that can be a cover."""

    code = "invalid_cover"

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; a cover is a JPEG or PNG file")


class EditionNotFound(JobError):
    """The book has no edition in that format."""

    code = "edition_not_found"

    def __init__(self, format: str, allowed: Iterable[str]) -> None:
        self.allowed = tuple(allowed)
        there = f"there is {', '.join(self.allowed)}" if self.allowed else "none was made yet"
        super().__init__(f"the book has no edition {format!r}; {there}")


class InvalidForm(JobError):
    """The multipart body is not one that can be read."""

    code = "invalid_form"

    def __init__(self, why: str) -> None:
        super().__init__(f"{why}; send multipart/form-data with the part `file`, and `options` as JSON if you like")


class FileTooLarge(JobError):
    """The file is larger than a file may be."""

    code = "file_too_large"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the file is over {limit} bytes, which is the limit")
        self.limit = limit


class UnknownUpload(JobError):
    """There is no file of the tenant's by that key."""

    code = "unknown_upload"

    def __init__(self, key: str) -> None:
        super().__init__(f"there is no upload {key!r}; ask POST /v1/uploads for a link, and PUT the file there first")


class EmptyFile(JobError):
    """The file has nothing in it."""

    code = "empty_file"

    def __init__(self) -> None:
        super().__init__("the file is empty")


class KeepTooLong(JobError):
    """It is to be kept for longer than anything is kept here."""

    code = "keep_too_long"

    def __init__(self, seconds: float, *, limit: float) -> None:
        super().__init__(f"keep_seconds is {seconds:g}; here it may be {limit:g}")
        self.limit = limit


class BookUnread(JobError):
    """The book's file could not be read, so nothing can be done with it."""

    code = "book_unread"

    def __init__(self, why: str) -> None:
        super().__init__(f"the book's file could not be read: {why}")


class BatchNotFound(JobError):
    """There is no such batch, or it has been deleted."""

    code = "batch_not_found"

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"there is no batch {batch_id!r}; it may have been deleted or have expired")


class BatchNotOver(JobError):
    """What was asked of the batch is for one that is over."""

    code = "batch_not_over"

    def __init__(self, state: str) -> None:
        super().__init__(f"the batch is {state}; wait until it is over, or cancel it")
        self.state = state


class BatchIsOver(JobError):
    """There is nothing left of the batch to cancel."""

    code = "batch_is_over"

    def __init__(self, state: str) -> None:
        super().__init__(f"the batch is {state}: there is nothing to cancel")
        self.state = state


class BatchConflict(JobError):
    """The key was used for another batch."""

    code = "idempotency_conflict"

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"this Idempotency-Key already belongs to batch {batch_id}, made from another file or options")


class EmptyBatch(JobError):
    """The file has no lines."""

    code = "empty_batch"

    def __init__(self) -> None:
        super().__init__('the batch has no lines; send JSON Lines: one JSON object a line, such as {"text": "Hello"}')


class TooManyLines(JobError):
    """The file has more lines than a batch may."""

    code = "too_many_lines"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the batch has more than {limit} lines, which is the limit; send several batches")
        self.limit = limit


class InvalidBatchOptions(JobError):
    """The options of a batch are no options, or are given in two places."""

    code = "invalid_batch_options"

    def __init__(self, why: str) -> None:
        super().__init__(f"the batch's options can't be taken: {why}")


class UnsupportedBody(JobError):
    """The body is of a type that is not taken here."""

    code = "unsupported_media_type"

    def __init__(self, content_type: str, allowed: Iterable[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__(f"Content-Type is {content_type[:100]!r}; send one of {', '.join(self.allowed)}")


class InvalidTemplate(JobError):
    """The template can't be filled."""

    code = "invalid_template"

    def __init__(self, why: str) -> None:
        super().__init__(f"the template can't be used: {why}")


class InvalidLine(JobError):
    """The line of a batch is none."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


class LineTooLong(JobError):
    """The line of a batch is longer than any valid one could be."""

    code = "line_too_long"

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"the line is over {limit} bytes, which is the limit")


class MissingVariable(JobError):
    """The line does not say all that the template has."""

    code = "missing_variable"

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(f"the template has {', '.join(names)}, which the line's variables don't say")


class UnknownVariable(JobError):
    """The line has a variable that nothing in the template stands for."""

    code = "unknown_variable"

    def __init__(self, names: Iterable[str], known: Iterable[str]) -> None:
        self.allowed = tuple(known)
        has = f"it has {', '.join(self.allowed)}" if self.allowed else "it has none"
        super().__init__(f"no {', '.join(names)} stands in what is to be filled; {has}")


class TextTwice(JobError):
    """The line has a text of its own and variables for the template."""

    code = "text_twice"

    def __init__(self) -> None:
        super().__init__("the line has both text and variables; the template is spoken where there is no text")


class InvalidMessage(JobError):
    """A message of a stream is none that is known, or not one of those that may come now."""

    code = "invalid_message"


class StreamIdle(JobError):
    """Nobody wrote into a stream, and there was nothing left to speak."""

    code = "stream_idle"

    def __init__(self, *, seconds: float) -> None:
        super().__init__(f"no message came for {seconds:g} s, and everything was spoken")


class ReaderTooSlow(JobError):
    """Whoever listens to a stream takes nothing of what is sent."""

    code = "reader_too_slow"

    def __init__(self, *, seconds: float) -> None:
        super().__init__(f"nothing of the audio was taken for {seconds:g} s")


class TooManyStreams(JobError):
    """The tenant has as many streams open as it may have."""

    code = "too_many_streams"
    retry_after_seconds = 5.0

    def __init__(self, *, limit: int) -> None:
        super().__init__(f"there are {limit} streams open at this gateway; a tenant may have {limit}")
        self.limit = limit


class ForeignOrigin(JobError):
    """A page of another site opens a stream."""

    code = "foreign_origin"

    def __init__(self) -> None:
        super().__init__("the Origin is not this site, and none that EMOTIVOICE_CORS_ORIGINS names")


class VoiceNotFound(JobError):
    """There is no such voice in the tenant's library."""

    code = "voice_not_found"

    def __init__(self, voice_id: str) -> None:
        super().__init__(f"there is no voice {voice_id!r}; it may have been deleted")


class VoiceNotReady(JobError):
    """The voice's clip is still being checked."""

    code = "voice_not_ready"
    retryable = True
    retry_after_seconds = 5.0

    def __init__(self, voice_id: str) -> None:
        super().__init__(f"the clip of the voice {voice_id!r} is still being checked; try again shortly")


class VoiceFailed(JobError):
    """The voice's clip will not do."""

    code = "voice_failed"

    def __init__(self, voice_id: str, problems: Iterable[str]) -> None:
        super().__init__(f"the voice {voice_id!r} has no clip that will do: {'; '.join(problems)}; send another")


class PreviewNotReady(JobError):
    """The voice has not said its sentence yet."""

    code = "preview_not_ready"
    retry_after_seconds = 5.0

    def __init__(self, voice_id: str) -> None:
        super().__init__(f"the preview of the voice {voice_id!r} is being made; try again shortly")


class PoorClip(JobError):
    """The recording will not do as a reference clip; a sentence for each reason."""

    code = "poor_clip"

    def __init__(self, problems: Iterable[str]) -> None:
        super().__init__(f"the clip will not do: {' '.join(problems)}")


class InvalidClipUrl(JobError):
    """Nothing would be fetched from this URL."""

    code = "invalid_clip_url"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the clip's URL can't be used: {reason}")


class CloningUnavailable(JobError):
    """The engine here can't speak like a clip."""

    code = "cloning_unavailable"

    def __init__(self, engine: str) -> None:
        super().__init__(f"the engine {engine} can't speak like a reference clip; name one of its own voices")


class ConsentRequired(JobError):
    """Nobody says that the person whose voice it is has agreed."""

    code = "consent_required"

    def __init__(self, field: str) -> None:
        super().__init__(f"say with {field}: true that the person whose voice it is has agreed to this use of it")


class VoiceDeleted(JobError):
    """What was spoken with the voice went with it."""

    code = "voice_deleted"

    def __init__(self, voice_id: str = "") -> None:
        voice = f"the voice {voice_id!r}" if voice_id else "a voice of this"
        super().__init__(f"{voice} was deleted, or its clip replaced, and what was spoken with that clip went with it")


class TooManyVoices(JobError):
    """The tenant has as many as it may."""

    code = "too_many_voices"

    def __init__(self, limit: int) -> None:
        super().__init__(f"there are {limit} voices already, and there may be no more; delete one first")
        self.limit = limit

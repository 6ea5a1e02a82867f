"""The job that checks a voice's clip and speaks its preview, a sentence in the voice's language."""

import time

from gateway.book_submission import enqueue
from gateway.dependencies import Services
from shared import checking, tracing
from shared.accepted import REFUSED
from shared.checking import Offer
from shared.children import child_id
from shared.errors import QuotaExceeded, UnsupportedLanguage
from shared.job_request import SpeechFields
from shared.jobs import Job, JobKind, Lane, SpeechRequest
from shared.limits import NO_LIMITS, Limits
from shared.speech_length import estimated_seconds
from shared.voice_library import LibraryVoice

# What a voice says for the first time, by language.
PREVIEWS = {
    "en": "Hello! This is how I sound. I can read you a letter, a long story, or the news of the day.",
    "zh": "你好！这就是我的声音。我可以为你读一封信、讲一个长长的故事，或者播报今天的新闻。",
}
FORMAT = "mp3"


def check_language(language: str) -> None:
    """Refuse a language in which there is no sentence for a preview.

    Raises:
        UnsupportedLanguage: it is one.
    """
    if language and _primary(language) not in PREVIEWS:
        raise UnsupportedLanguage(language, sorted(PREVIEWS))


def _primary(language: str) -> str:
    return language.partition("-")[0].lower()


def job_id_of(voice: LibraryVoice) -> str:
    return child_id(voice.uuid, f"clip {voice.revision}")


async def begin_to_check(  # noqa: PLR0913 - every argument by name
    voice: LibraryVoice,
    offer: Offer,
    services: Services,
    *,
    key: str = "",
    made_of: str = "",
    limits: Limits = NO_LIMITS,
) -> str:
    """Have the clip checked.

    Args:
        made_of: a fingerprint of the request.
    Returns:
        the id of the job, or of the one that an earlier request with the same idempotency key has made.
    Raises:
        QuotaExceeded: the preview is not within the limits.
    """
    request = _preview(voice, offer)
    job = _job(voice, request, services)
    try:
        recorded = await services.jobs.create(job, request, key=key, fingerprint=made_of, limits=limits)
    except QuotaExceeded as error:
        REFUSED.labels(voice.tenant, error.quota).inc()
        raise await services.quotas.refusal(error, voice.tenant, await services.known.load(job.lane)) from None
    if isinstance(recorded, str):
        return recorded
    await enqueue(recorded, services)
    return voice.job


def _preview(voice: LibraryVoice, offer: Offer) -> SpeechRequest:
    text = PREVIEWS[_primary(voice.language or "en")]
    rate = checking.sample_rate(SpeechFields(format=FORMAT), native=offer.catalogue.sample_rate)
    return SpeechRequest(text, voice.reference, "neutral", 1.0, 1.0, FORMAT, rate, 0)


def _job(voice: LibraryVoice, request: SpeechRequest, services: Services) -> Job:
    return Job(
        id=voice.job,
        lane=Lane.INTERACTIVE,
        characters=len(request.text),
        created_at=time.time(),
        long=True,
        segments_total=0,
        keep_seconds=services.settings.keep_seconds,
        tenant=voice.tenant,
        trace=tracing.current().traceparent,
        estimated_seconds=round(estimated_seconds(request.text), 3),
        kind=JobKind.VOICE,
        parent=voice.uuid,
    )

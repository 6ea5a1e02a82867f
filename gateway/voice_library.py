"""Voices of a tenant's own: made of a clip, given another one."""

import logging
import time
from dataclasses import dataclass, replace

import uuid_utils
from anyio import to_thread

from gateway.auth.caller import Caller
from gateway.dependencies import Services
from gateway.receiving import Received
from gateway.voice_deletion import delete, delete_former
from gateway.voice_preview import begin_to_check, check_language, job_id_of
from gateway.voice_schemas import VoiceOptions
from shared.books import fingerprint
from shared.checking import Offer
from shared.errors import (
    CloningUnavailable,
    ConsentRequired,
    EmptyFile,
    InvalidClipUrl,
    JobError,
    TooManyVoices,
    VoiceNotFound,
)
from shared.outbound import TargetRefused, parsed
from shared.voice_library import PREFIX, Consent, LibraryVoice, source_key

audit = logging.getLogger("emotivoice.audit")


@dataclass(frozen=True)
class Clip:
    """A reference clip as it comes: a file, or where one is."""

    file: Received | None = None
    url: str = ""

    @property
    def made_of(self) -> str:
        return self.file.sha256 if self.file else self.url


@dataclass(frozen=True)
class NewVoice:
    """The voice that a request led to; `replayed` when an earlier request with the same key had made it."""

    voice: LibraryVoice
    replayed: bool


async def create(clip: Clip, options: VoiceOptions, services: Services, *, key: str, caller: Caller) -> NewVoice:
    """Make a voice of the clip. The clip is checked later, by a job.

    Raises:
        JobError: it can't be made, or a server is away; then nothing is accepted.
    """
    consent = consent_of(caller.tenant, "consent", services, given=options.consent, key=caller.key)
    check_clip(clip, services)
    offer = await _imitating(services)
    check_language(options.language)
    most = services.settings.most_voices
    if await services.voices.count(caller.tenant) >= most:
        raise TooManyVoices(most)
    voice = named(new_voice(clip, caller.tenant, consent), options)
    await services.voices.create(voice)
    try:
        await store_clip(voice, clip, services)
        made_of = fingerprint(options.model_dump(), clip.made_of) if key else ""
        limits = replace(await services.quotas.limits(caller.tenant), concurrent_jobs=0)  # its job is none of those
        owner = await begin_to_check(voice, offer, services, key=key, made_of=made_of, limits=limits)
    except JobError:
        await delete(voice, services)
        raise
    if owner == voice.job:
        tell("created", voice, key=caller.key)
        return NewVoice(voice, replayed=False)
    await delete(voice, services)
    known = await _voice_of(owner, services)
    if known is None:  # it was deleted meanwhile
        await services.jobs.forget_key(caller.tenant, key, owner)
        return await create(clip, options, services, key=key, caller=caller)
    return NewVoice(known, replayed=True)


def new_voice(clip: Clip, tenant: str, consent: Consent | None) -> LibraryVoice:
    voice = LibraryVoice(
        f"{PREFIX}{uuid_utils.uuid7()}", tenant, time.time(), consent=consent, source_url=clip.url, revision=1
    )
    return replace(voice, job=job_id_of(voice))


def named(voice: LibraryVoice, options: VoiceOptions) -> LibraryVoice:
    return replace(voice, name=options.name, language=options.language, description=options.description)


async def replace_clip(
    voice: LibraryVoice, clip: Clip, services: Services, *, consent: bool, caller: Caller
) -> LibraryVoice:
    """Give the voice another clip. What was made of the one before goes.

    Raises:
        JobError: it can't be taken, or a server is away; a voice whose clip got lost then can be given one again.
    """
    agreed = consent_of(caller.tenant, "consent", services, given=consent, key=caller.key)
    check_clip(clip, services)
    offer = await _imitating(services)
    seen: list[LibraryVoice] = []

    def another(now: LibraryVoice) -> LibraryVoice | None:
        if now.over:
            return None
        seen[:] = [now]
        changed = replace(now, revision=now.revision + 1, consent=agreed, source_url=clip.url)
        return replace(changed, job=job_id_of(changed), problems=(), clip_sha256="", clip_bytes=0, report={})

    changed = await services.voices.change(voice.id, another)
    if changed is None or changed.over:
        raise VoiceNotFound(voice.id)
    await delete_former(seen[0], services)
    await store_clip(changed, clip, services)
    await begin_to_check(changed, offer, services)
    tell("replaced", changed, key=caller.key)
    return changed


def consent_of(tenant: str, field: str, services: Services, *, given: bool, key: str = "") -> Consent | None:
    """Return the consent that the caller has stated; None if none has to be.

    Raises:
        ConsentRequired: it has to be, and was not.
    """
    if not given and services.settings.voice_consent == "required":
        raise ConsentRequired(field)
    return Consent(f"{tenant} {key}".strip(), time.time()) if given else None


def check_clip(clip: Clip, services: Services) -> None:
    """Refuse what is no clip for sure; the rest shows when it is checked.

    Raises:
        EmptyFile, InvalidClipUrl: it is none.
    """
    if clip.file and not clip.file.bytes:
        raise EmptyFile
    if clip.url:
        try:
            parsed(clip.url, services.settings.clip_rules)
        except TargetRefused as refused:
            raise InvalidClipUrl(str(refused)) from refused


async def store_clip(voice: LibraryVoice, clip: Clip, services: Services) -> None:
    """Store the clip's file, if it is here."""
    if file := clip.file:
        key = source_key(voice.id, voice.revision)
        content_type = "application/octet-stream"
        await to_thread.run_sync(
            lambda: services.objects.put(key, file.file, length=file.bytes, content_type=content_type)
        )


def tell(done: str, voice: LibraryVoice, *, key: str = "") -> None:
    """Write a line for the audit."""
    consent = voice.consent.given_by if voice.consent else ""
    facts = {"voice": voice.id, "revision": voice.revision, "tenant": voice.tenant, "consent": consent}
    audit.info("voice %s", done, extra=facts | {"key": key, "job_id": voice.brought_by})


async def _imitating(services: Services) -> Offer:
    offer = await services.known.offer()
    if not offer.catalogue.imitates:
        raise CloningUnavailable(offer.catalogue.engine)
    return offer


async def _voice_of(job_id: str, services: Services) -> LibraryVoice | None:
    [job] = await services.children.jobs([job_id])
    voice = await services.voices.get(f"{PREFIX}{job.parent}") if job else None
    return voice if voice and not voice.over else None

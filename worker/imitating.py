"""How the engine speaks like a library voice's clip: found once for all workers, and kept beside the clip."""

import io
import json
from dataclasses import asdict
from typing import Any

from audio.encoding import decode
from shared.errors import AudioMissing, CloningUnavailable, VoiceDeleted
from shared.voice_library import LibraryVoice, clip_key, imitation_key, parse
from worker.attempt import NotYet
from worker.batching import leave_engine
from worker.engine import Imitates, Imitation, ReferenceClip
from worker.lease import Lease
from worker.metrics import IMITATIONS
from worker.runtime import Runtime


class BeingImitated(NotYet):
    """Raised in the work when another worker finds out just now how to speak like the clip."""

    outcome = "imitated_elsewhere"

    def __init__(self) -> None:
        super().__init__(1.0)


def present(reference: str, tenant: str, runtime: Runtime) -> LibraryVoice:
    """Return the voice of a request.

    Raises:
        VoiceDeleted: it is gone, or has another clip.
    """
    voice_id, revision = parse(reference)
    voice = runtime.library.get(voice_id)
    if voice is None or voice.over or (voice.tenant, voice.revision) != (tenant, revision):
        raise VoiceDeleted(voice_id)
    return voice


def imitation_of(voice: LibraryVoice, lease: Lease, runtime: Runtime) -> Imitation:
    """Return how the engine speaks like the voice's clip.

    Raises:
        NotYet: another worker finds that out just now.
        CloningUnavailable: the engine can't.
        EngineError: it could not be found.
    """
    engine = runtime.engine
    if not isinstance(engine, Imitates):
        raise CloningUnavailable(engine.name if engine else "")
    key = imitation_key(voice.id, voice.revision, engine.imitation_revision)
    if known := runtime.imitations.get(key):
        IMITATIONS.labels("memory").inc()
        return known
    imitation = _stored(key, runtime) or _found(key, voice, lease, runtime)
    runtime.imitations.keep(key, imitation)
    return imitation


def _stored(key: str, runtime: Runtime) -> Imitation | None:
    try:
        fields: dict[str, Any] = json.loads(b"".join(runtime.objects.read(key)))
    except AudioMissing:
        return None
    IMITATIONS.labels("s3").inc()
    fields |= {name: tuple(fields[name]) for name in ("numbers", "warnings")}
    return Imitation(**fields)


def _found(key: str, voice: LibraryVoice, lease: Lease, runtime: Runtime) -> Imitation:
    """Find the imitation and store it; of several workers at once, one does."""
    with runtime.library.held(key, runtime.settings.lease_seconds) as hold_on:
        if hold_on is None:
            raise BeingImitated
        lease.keep(hold_on)
        if found := _stored(key, runtime):
            return found
        imitation = _imitated(voice, runtime)
        IMITATIONS.labels("computed").inc()
        data = json.dumps(asdict(imitation)).encode()
        runtime.objects.put(key, io.BytesIO(data), length=len(data), content_type="application/json")
    return imitation


def _imitated(voice: LibraryVoice, runtime: Runtime) -> Imitation:
    from worker.voice_clips import embedding_of  # needs the extra `voices`

    leave_engine()  # nobody need wait for this job meanwhile
    waveform = decode(io.BytesIO(b"".join(runtime.objects.read(clip_key(voice.id, voice.revision)))))
    clip = ReferenceClip(waveform, embedding_of(voice, waveform, runtime), voice.language)
    if runtime.shared:
        return runtime.shared.imitate(clip)
    assert isinstance(runtime.engine, Imitates)
    return runtime.engine.imitate(clip)

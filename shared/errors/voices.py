"""Failures of a tenant's own voices."""

from collections.abc import Iterable

from shared.errors.base import JobError


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

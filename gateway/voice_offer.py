"""What a tenant may name as a voice: the engine's, and its own."""

from collections.abc import Iterable
from dataclasses import replace

from gateway.dependencies import Services
from gateway.settings import GatewaySettings
from shared.checking import Offer
from shared.voice_library import LibraryVoice, is_library_voice, parse
from shared.voice_store import is_own


async def offer_to(tenant: str, names: Iterable[str | None], services: Services) -> Offer:
    """Return what the engine offers, with those of the tenant's own voices that are named.

    Args:
        names: of voices, as a request has them; where it names none, the tenant's default voice is looked up.
    Raises:
        NoCatalogue: no worker has started yet.
    """
    offer, named = await services.known.offer(), [*names]
    default = "" if all(named) else await services.voices.default(tenant)
    ids = {parse(name)[0] for name in (*named, default) if name and is_library_voice(name)}
    if not ids and not default:
        return offer
    found: dict[str, LibraryVoice] = {}
    for voice_id in ids:
        voice = await services.voices.get(voice_id)
        if voice and is_own(voice, tenant):
            found[voice_id] = voice
    return replace(offer, library=found.get, default=default)


def default_voice(offer: Offer, settings: GatewaySettings) -> str:
    """Return who speaks a text that names nobody: whom the tenant has chosen, the operator, or the engine's first."""
    return offer.default or settings.default_voice or str(offer.catalogue.voices[0]["id"])

"""Who sent a request, and what they may do."""

from collections.abc import Iterable
from dataclasses import dataclass

from shared.access import Scope
from shared.errors import Forbidden


@dataclass(frozen=True)
class Caller:
    """For which tenant a request is, and what it may do there."""

    tenant: str
    scopes: frozenset[Scope]
    key: str = ""  # the id of the API key, if it was one

    def check(self, *enough: Scope) -> None:
        """Refuse what the caller may not do.

        Raises:
            Forbidden: none of these scopes is granted, nor `admin`.
        """
        if not self.scopes & {*enough, Scope.ADMIN}:
            raise Forbidden(*enough)

    def sees(self, tenant: str) -> bool:
        return tenant == self.tenant or Scope.ADMIN in self.scopes


def known_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Return those that mean something here; an issuer may grant others for other services."""
    return frozenset(scope for scope in Scope if scope in set(names))

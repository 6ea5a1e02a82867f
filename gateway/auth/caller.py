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

    def check(self, scope: Scope) -> None:
        """Refuse what the caller may not do.

        Raises:
            Forbidden: neither this scope nor `admin` is granted.
        """
        if not self.scopes & {scope, Scope.ADMIN}:
            raise Forbidden(scope)

    def sees(self, tenant: str) -> bool:
        return tenant == self.tenant or Scope.ADMIN in self.scopes


def known_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Return those that mean something here; an issuer may grant others for other services."""
    return frozenset(scope for scope in Scope if scope in set(names))

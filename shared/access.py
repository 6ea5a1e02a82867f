"""Who may do what: tenants by their names, and the scopes that a token or a key grants."""

import re
from enum import StrEnum

TENANT = r"[A-Za-z0-9._-]{1,64}"  # it becomes a label of metrics and part of keys in Redis
TENANT_RULE = "1 to 64 letters, digits, dots, dashes, underscores"


class Scope(StrEnum):
    """What a caller may do with what is its tenant's own."""

    SPEECH_WRITE = "speech:write"  # submit, cancel and remove jobs
    JOBS_READ = "jobs:read"  # look at jobs, and fetch their audio
    VOICES_WRITE = "voices:write"  # make, change and delete voices of one's own
    BOOKS_WRITE = "books:write"
    ADMIN = "admin"  # all of these, and for every tenant


def is_tenant(name: str) -> bool:
    return re.fullmatch(TENANT, name) is not None

"""What is told when work is accepted or refused, by the gateway or, for the lines of a batch, by a worker."""

from prometheus_client import Counter

SUBMITTED = Counter("emotivoice_jobs_submitted_total", "Jobs accepted", ["lane", "tenant"])
REFUSED = Counter("emotivoice_refused_total", "Requests refused by a quota or for load", ["tenant", "reason"])

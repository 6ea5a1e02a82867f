"""What the sweeper measures."""

from prometheus_client import Counter, Gauge

REPUBLISHED = Counter("emotivoice_sweeper_republished_total", "Steps that were sent again", ["lane", "reason"])
EXPIRED = Counter("emotivoice_sweeper_expired_total", "Jobs whose audio was let go because their time was over")
FORGOTTEN = Counter("emotivoice_sweeper_forgotten_total", "Expired jobs whose record was removed")
OBJECTS_DELETED = Counter("emotivoice_sweeper_objects_deleted_total", "Objects that nobody needed any more")
ROUNDS = Counter("emotivoice_sweeper_rounds_total", "Parts of rounds by what came of them", ["part", "outcome"])
ROUND_SECONDS = Gauge("emotivoice_sweeper_round_seconds", "How long the latest round took")
ROUND_ENDED = Gauge("emotivoice_sweeper_round_ended_timestamp_seconds", "When the latest round ended")
WORKING = Gauge("emotivoice_sweeper_working", "1 for the sweeper that works, 0 for one that stands by")
DEAD_LETTERS = Gauge("emotivoice_dead_letters", "Messages in the dead-letter queue; NaN while the broker is away")
GARBAGE = Gauge("emotivoice_garbage_objects", "Objects that should be deleted and could not be, in the latest round")
WEBHOOKS_WAITING = Gauge("emotivoice_webhooks_waiting", "Deliveries of webhooks that are not done yet, nor given up")

"""JSON lines on stderr, each with the job, the tenant and the trace it is about. The text of a job is never logged."""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

job_id: ContextVar[str] = ContextVar("job_id", default="")
tenant: ContextVar[str] = ContextVar("tenant", default="")
trace_id: ContextVar[str] = ContextVar("trace_id", default="")
_CONTEXT = (job_id, tenant, trace_id)  # what a line is about, whoever writes it

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what it is about, and what `extra` gave."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {about.name: value for about in _CONTEXT if (value := about.get())}
        line |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def set_up_logging(level: str) -> None:
    """Send every log record of the process to stderr as JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    for chatty in ("celery.worker.strategy", "celery.app.trace"):  # two lines a message, without the job id
        logging.getLogger(chatty).setLevel(logging.WARNING)

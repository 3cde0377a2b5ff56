"""One JSON object per line on standard error, for our own entries and for those of every library.

Called once per process, by `process.run` or by the local stack. Each entry has `ts`, `level`, `service`, `event`, and
what the bus bound for the message in hand (`correlationid`, `project`, …).
"""

import logging
import sys
from typing import Any

import structlog
from structlog.processors import ExceptionRenderer
from structlog.stdlib import ProcessorFormatter
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

from modelyard_runtime.redaction import redact

_MOST_FRAMES = 20
_CHATTY = ("asyncio", "httpx", "httpcore", "uvicorn", "urllib3")


def configure(service: str, level: str = "INFO") -> None:
    """`service` names entries that were not bound to another one. May be called again; the last call counts."""

    def name_service(_: WrappedLogger, __: str, entry: EventDict) -> EventDict:
        entry.setdefault("service", service)
        return entry

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        name_service,
    ]
    structlog.configure(
        processors=[*shared, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,  # loggers are made at import, before this is called
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=shared, processors=_last_steps()))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def _last_steps() -> list[Processor]:
    """Redaction comes after the exception became text: messages of clients like to quote the URL they called."""
    # Local variables of a frame would print what the code was just working with, passwords included.
    exceptions = ExceptionDictTransformer(show_locals=False, max_frames=_MOST_FRAMES)
    return [
        ProcessorFormatter.remove_processors_meta,
        ExceptionRenderer(exceptions),
        _redact_entry,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


def _redact_entry(_: WrappedLogger, __: str, entry: EventDict) -> dict[str, Any]:
    return dict(redact(entry))

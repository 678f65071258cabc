"""Logs as one JSON object a line, and metrics that add up over the API's processes."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Counter("vitrine_http_requests_total", "Answered requests", ["method", "route", "status"])
SECONDS = Histogram(
    "vitrine_http_request_seconds",
    "Time to answer, in seconds",
    ["method", "route"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
INGESTED = Counter("vitrine_ingested_total", "Ingested entries by what became of them", ["kind", "verdict"])
SHOWN = Counter("vitrine_shown_lists_total", "Answered lists by what became of their record", ["verdict"])
RECOMMENDED = Counter("vitrine_recommended_items_total", "Recommended items by source", ["source"])
MODEL_LOADED = Gauge(
    "vitrine_model_loaded_timestamp_seconds",
    "When the model version that is served was loaded",
    multiprocess_mode="mostrecent",
)
MODEL_FAILURES = Counter("vitrine_model_load_failures_total", "Model versions that could not be loaded")
MODEL_FAILING = Gauge(
    "vitrine_model_failing",
    "1 while the active model version cannot be served, and another one or none is",
    multiprocess_mode="mostrecent",
)
DATABASE_REACHED = Gauge(
    "vitrine_database_reachable",
    "0 while the database cannot be reached",
    multiprocess_mode="mostrecent",
)
WITHOUT_DATABASE = Counter(
    "vitrine_lists_without_database_total", "Recommendations answered while the database was away"
)


def set_up_logs(level: str, form: str) -> None:
    """Send all logs of the process, the libraries' too, through structlog to standard error."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    # JSON escapes what is in a text by itself.
    last: list[structlog.typing.Processor] = (
        [_escape, structlog.dev.ConsoleRenderer()]
        if form == "console"
        else [structlog.processors.JSONRenderer()]
    )
    number = getattr(logging, level.upper())
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, *last],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *last,
            ],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.INFO))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    logging.getLogger("uvicorn.access").disabled = True  # the middleware logs requests, with their ids


_STEERS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""What ends a line, steers a terminal, turns the order of letters, or is half of a letter."""


def escaped(text: str) -> str:
    """A text that stays on its line, whoever wrote it."""
    return _STEERS.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def _escape(_logger: Any, _method: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Escape the texts of an entry; a traceback stays in lines, each of them indented."""
    for name, value in entry.items():
        if name == "exception" and isinstance(value, str):
            entry[name] = "\n".join(f"    {escaped(line)}" for line in value.split("\n"))
        elif isinstance(value, str):
            entry[name] = escaped(value)
        elif not isinstance(value, int | float | None):
            entry[name] = escaped(repr(value))
    return entry

"""What others say about a model call in log records instead of on its span."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk._logs import LogRecordProcessor

from otel_agentops.accounting import PRICE_INPUTS
from otel_agentops.failsafe import swallowed
from otel_agentops.processors.content import clean_attributes, clean_value
from otel_agentops.semconv import dialects
from otel_agentops.spans import current

if TYPE_CHECKING:
    from opentelemetry._logs import LogRecord
    from opentelemetry.sdk._logs import ReadWriteLogRecord

    from otel_agentops.accounting import Place
    from otel_agentops.spans import Redactor

__all__ = ["AgentOpsLogProcessor"]

_HEARD = PRICE_INPUTS.union(dialects.PROMPTS)
_MOST_PARTS = 256
"""Messages of one call that are listened to."""


class AgentOpsLogProcessor(LogRecordProcessor):
    """Listens to instrumentations that write usage or content of a model call to log records.

    What a record says while its span is open is taken as if it stood on the span, where the span does not
    say it itself: counts and models for the price, messages for the digest. Nothing is written to the
    span for it but what the accounting writes anyway, and nothing is exported. Secrets in records of the
    GenAI conventions are taken out by the rules of `init(redact=)`, for processors added after this one.

    Add it to the logger provider before the exporters, and `AgentOpsSpanProcessor` to the tracer provider.
    """

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        """Listen to one record; called by the SDK."""
        try:
            record = log_record.log_record
            recorder = current()
            if recorder is None or not record.span_id:
                return
            place = recorder.calls.at(record.span_id)
            if place is not None:
                _listen(place, record)
            if recorder.cleans_spans:
                _clean(record, recorder.encoder.redactor)
        except Exception as error:  # noqa: BLE001 - logging must go on whatever happens to us
            swallowed("listening to a log record", error)

    def shutdown(self) -> None:
        """Nothing to close."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Nothing is waiting."""
        return True


def _clean(record: LogRecord, redactor: Redactor) -> None:
    """Take secrets out of a record with content."""
    attributes = record.attributes or {}
    name = record.event_name or attributes.get("event.name")
    if not isinstance(name, str) or not name.startswith("gen_ai."):
        return
    body = clean_value(record.body, redactor)
    if body != record.body:
        record.body = body
    found = clean_attributes(attributes, redactor)
    if found:
        record.attributes = {**attributes, **found}


def _listen(place: Place, record: LogRecord) -> None:
    attributes = record.attributes or {}
    heard = {name: attributes[name] for name in attributes if name in _HEARD}
    if heard:
        place.heard, place.silent = {**(place.heard or {}), **heard}, False
    name = record.event_name or attributes.get("event.name")
    if name in dialects.PROMPT_EVENTS and record.body is not None:
        said = place.said = place.said or []
        if len(said) < _MOST_PARTS:
            said.append((name, record.body))

"""Names only: the profiles of the conventions, our own names, and who answers at which host."""

from otel_agentops.semconv import dialects, emitters, own
from otel_agentops.semconv.contents import AI_MARKS, is_content
from otel_agentops.semconv.metrics import (
    FINDINGS,
    OURS,
    OVERFLOW,
    Metric,
    MetricSet,
)
from otel_agentops.semconv.outward import Outward
from otel_agentops.semconv.own import OWN, Name
from otel_agentops.semconv.profiles import DEFAULT_PROFILE, PROFILES, START_FIELDS, Profile
from otel_agentops.semconv.providers import maker_of, provider_name, provider_of_host

__all__ = [
    "AI_MARKS",
    "DEFAULT_PROFILE",
    "FINDINGS",
    "OURS",
    "OVERFLOW",
    "OWN",
    "PROFILES",
    "START_FIELDS",
    "Metric",
    "MetricSet",
    "Name",
    "Outward",
    "Profile",
    "dialects",
    "emitters",
    "is_content",
    "maker_of",
    "own",
    "provider_name",
    "provider_of_host",
]

"""Names only: the profiles of the conventions, our own names, and who answers at which host."""

from otel_agentops.semconv import own
from otel_agentops.semconv.metrics import Metric, MetricSet
from otel_agentops.semconv.own import OWN, Name
from otel_agentops.semconv.profiles import DEFAULT_PROFILE, PROFILES, START_FIELDS, Profile
from otel_agentops.semconv.providers import provider_of_host

__all__ = [
    "DEFAULT_PROFILE",
    "OWN",
    "PROFILES",
    "START_FIELDS",
    "Metric",
    "MetricSet",
    "Name",
    "Profile",
    "own",
    "provider_of_host",
]

"""What this environment does to a program that uses the library, and what to change about it."""

from otel_agentops.doctor.examination import examine
from otel_agentops.doctor.findings import Finding, worst

__all__ = ["Finding", "examine", "worst"]

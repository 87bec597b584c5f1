"""A program that has secrets everywhere a program has them: `python -m security.hostile URL`."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Any

__all__ = ["main"]


def main() -> None:
    """Call, fail, hand over, and end; what leaves is for others to look at."""
    logging.basicConfig(level=logging.DEBUG if "DEBUG" in os.environ else logging.WARNING)
    import openai
    from opentelemetry import baggage, context

    import otel_agentops as ao

    key = os.environ["THE_KEY"]
    ao.init(
        auto_session=False,
        spool=True,
        baggage=True,
        capture_content="CONTENT" in os.environ,
        service_name="hostile",
    )
    context.attach(baggage.set_baggage("api_key", key))

    @ao.tool(name="fetch")
    def fetch(url: str, token: str) -> str:
        raise PermissionError(f"{url}?api_key={token} refused {token}") from ValueError(token)

    @ao.operation(name="read")
    def read(token: str) -> dict[str, Any]:
        return {"token": token, "nested": [{"authorization": f"Bearer {token}"}]}

    client = openai.OpenAI(
        api_key=key,
        base_url=sys.argv[1].replace("://", f"://admin:{key}@") + f"/gateway/{key}/v1",
        default_headers={"x-api-key": key},
        max_retries=0,
    )
    with client, ao.session("hostile", metadata={"plan": "free"}), ao.agent("worker"):
        with contextlib.suppress(PermissionError):
            fetch("https://example.com/a", key)
        read(key)
        for content in (f"my key is {key}", object()):
            with contextlib.suppress(Exception):
                client.chat.completions.create(
                    model="gpt-4o",
                    messages=[{"role": "user", "content": content}],  # type: ignore[typeddict-item]
                    extra_headers={"Authorization": f"Bearer {key}", "Cookie": key},
                    extra_query={"sig": key},
                    extra_body={"credentials": key},
                )
    ao.flush(timeout_s=1)


if __name__ == "__main__":
    main()

"""Watching an event loop from inside."""

from __future__ import annotations

import asyncio
import time

__all__ = ["TICK_S", "watch"]

TICK_S = 0.001


async def watch(seconds: float) -> tuple[float, float]:
    """How late the latest tick is in that time, and the most CPU of the process between two; all in seconds.

    A tick that is late without the process having worked was kept waiting by other processes.
    """
    late = busy = 0.0
    clock, cpu = time.perf_counter, time.process_time
    end = clock() + seconds
    while (now := clock()) < end:
        used = cpu()
        await asyncio.sleep(TICK_S)
        late = max(late, clock() - now - TICK_S)
        busy = max(busy, cpu() - used)
    return late, busy

"""Generated and recorded runs, played through the public interface as a program would."""

from __future__ import annotations

from contextvars import Context, copy_context
from typing import Any

import otel_agentops as ao
from support.agent_runs import Run, Step

__all__ = ["FailedStepError", "play"]


class FailedStepError(Exception):
    """What a failing step raises."""


ERRORS: dict[str, type[FailedStepError]] = {}


def _error(name: str) -> FailedStepError:
    kind = ERRORS.setdefault(name, type(name, (FailedStepError,), {}))
    return kind("no")


class Player:
    """Keeps sessions and agents open for as long as their steps last."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.last = {_place(step): number for number, step in enumerate(run.steps)}
        self.open: dict[Any, tuple[Context, Any]] = {}
        self.sessions: dict[int, tuple[Context, Any]] = {}
        self.waiting: list[tuple[Step, Context, Any, Any]] = []
        self.group = 0

    def play(self) -> list[ao.Finding]:
        for number, step in enumerate(self.run.steps):
            if not step.together or step.together != self.group:
                self.end_waiting()
            self.group = step.together
            context = self.context(step).copy()
            block = _block(step)
            self.waiting.append((step, context, block, context.run(block.__enter__)))
            if not step.together:
                self.end_waiting()
            if step.agent is not None and self.last[_place(step)] == number:
                self.end_waiting()
                turn, handle = self.open.pop(_place(step))
                turn.run(handle.end)
        self.end_waiting()
        for context, handle in [*self.open.values(), *self.sessions.values()]:
            context.run(handle.end)
        return [finding for _, handle in self.sessions.values() for finding in handle.findings]

    def context(self, step: Step) -> Context:
        """Inside the session and the agent of a step."""
        if step.session not in self.sessions:
            context = copy_context()
            self.sessions[step.session] = context, context.run(ao.start_session, "run")
        context = self.sessions[step.session][0]
        if step.agent is None:
            return context
        if _place(step) not in self.open:
            inside = context.copy()
            self.open[_place(step)] = inside, inside.run(ao.agent(step.agent).start)
        return self.open[_place(step)][0]

    def end_waiting(self) -> None:
        """End the steps that have started."""
        for step, context, block, entered in self.waiting:
            if step.error:
                error = _error(step.error)
                context.run(block.__exit__, type(error), error, None)
                continue
            if step.kind == "tool":
                entered.result(step.result)
            context.run(block.__exit__, None, None, None)
        self.waiting.clear()


def _place(step: Step) -> tuple[int, str | None, int]:
    return step.session, step.agent, step.turn


def _block(step: Step) -> Any:
    if step.kind == "tool":
        return ao.tool(step.name, arguments={"arguments": step.what}, repeatable=step.repeatable)
    operation = "embeddings" if step.kind == "embedding" else "chat"
    return ao.model_call(provider="openai", model=step.name, operation=operation, messages=step.what)


def play(run: Run) -> list[ao.Finding]:
    """What is found while the run goes on."""
    return Player(run).play()

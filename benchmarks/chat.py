"""A chat call with a prompt of 1 KB: content, price, digest, totals and metrics on."""

from __future__ import annotations

from benchmarks.driver import Plan, Result, Row, main, over, ratio, run, same_signals

BARE, AGAIN_BARE = "chat.bare", "chat.again_bare"
PLAN = Plan(groups=5, rounds=15, block=125, warm=300)


def measure() -> Result:
    """Cost of a recorded chat call against programs on the raw SDK."""
    same_signals("chat.joined", "chat.same")
    arms = ("chat.joined", "chat.same", "chat.own", "chat.spool", "chat.crash", "chat.plain")
    groups = run((BARE, *arms), PLAN)
    loop = run((AGAIN_BARE, "chat.again"), PLAN)
    rows = [
        Row(
            "joined to the program's provider / raw SDK writing the same, whole process",
            ratio(groups, "chat.joined", "chat.same", BARE, "total"),
            target=1.5,
        ),
        Row(
            "joined / raw SDK writing the same, calling thread only",
            ratio(groups, "chat.joined", "chat.same", BARE, "call"),
        ),
        Row(
            "own pipeline / raw SDK writing a plain span, whole process",
            ratio(groups, "chat.own", "chat.plain", BARE, "total"),
            target=2.0,
        ),
        Row(
            "own pipeline with the spool / raw SDK writing a plain span, whole process",
            ratio(groups, "chat.spool", "chat.plain", BARE, "total"),
            target=1.2,
        ),
        Row(
            'own pipeline with the spool: what durability="crash" adds, us a call, whole process',
            over(groups, "chat.crash", "chat.spool", "total"),
            1,
            40.0,
        ),
        Row(
            "raw SDK writing the same / raw SDK writing a plain span, whole process",
            ratio(groups, "chat.same", "chat.plain", BARE, "total"),
        ),
    ]
    for arm, name in (
        ("chat.joined", "joined"),
        ("chat.same", "raw, same span and metrics"),
        ("chat.own", "own pipeline"),
        ("chat.spool", "own pipeline with the spool"),
        ("chat.crash", 'own pipeline with the spool and durability="crash"'),
        ("chat.plain", "raw, plain span"),
    ):
        rows.append(Row(f"{name}: us a call, whole process", over(groups, arm, BARE, "total"), 1))
        rows.append(Row(f"{name}: us a call, calling thread", over(groups, arm, BARE, "call"), 1))
    rows.append(
        Row(
            "joined, one prompt again and again (a loop): us a call, calling thread",
            over(loop, "chat.again", AGAIN_BARE, "call"),
            1,
        )
    )
    return Result("chat", "Chat call, 1 KB prompt", rows)


if __name__ == "__main__":
    main(measure)

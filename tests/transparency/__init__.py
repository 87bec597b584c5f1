"""Programs run bare and instrumented, and everything they can see compared."""

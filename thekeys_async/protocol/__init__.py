"""The gateway's protocol: pure functions and values. No await, no clock, no I/O."""

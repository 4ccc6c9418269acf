"""The simulator's small HTTP server: sockets, messages, and the grammar that it accepts."""

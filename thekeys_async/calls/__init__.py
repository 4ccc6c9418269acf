"""One call from beginning to end: its time budget, its turn, its retries."""

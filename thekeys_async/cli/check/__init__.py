"""`thekeys check`: what a gateway does, asked in a minute, and what that means for whoever relies on it."""

"""`thekeys check`: the state of a gateway, found in a minute, and what to do about it."""

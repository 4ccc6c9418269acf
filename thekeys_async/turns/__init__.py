"""Turns at a gateway, and the timestamps taken in them."""

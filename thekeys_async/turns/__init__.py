"""Whose turn it is at a gateway, and with which timestamp."""

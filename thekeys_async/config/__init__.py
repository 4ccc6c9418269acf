"""The configuration file: gateways and lockers by name, their share codes, and how turns are shared.

`file` reads and writes it, `parsing` makes `values` of it, `sharing` chooses the coordinator.
"""

"""Many gateways at once."""

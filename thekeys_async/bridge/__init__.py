"""The bridge: locks in MQTT and Home Assistant, metrics for Prometheus, and one page. `thekeys bridge` runs it."""

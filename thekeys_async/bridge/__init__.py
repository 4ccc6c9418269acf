"""The bridge: locks in MQTT and Home Assistant, metrics for Prometheus, and a page. `thekeys bridge` runs it."""

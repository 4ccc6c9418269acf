"""`thekeys demo`: the main job, with no hardware."""

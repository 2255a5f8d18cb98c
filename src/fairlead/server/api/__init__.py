"""Routes: one folder entry per resource, no logic."""

"""Guarded HTTP to receivers: every address is judged, every answer is bounded in size and time."""

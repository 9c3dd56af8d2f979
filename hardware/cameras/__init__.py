"""Cameras that are there: MJPEG over HTTP, USB, boards on UDP, and replay of what was recorded."""

"""Decode images of strangers within bounds: JPEG as libjpeg reads it, and what OpenCV reads."""

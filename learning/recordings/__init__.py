"""Recordings of the robot: written, mended, examined, drawn, and handed on as data sets."""

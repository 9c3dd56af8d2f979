"""Emulated devices: servos on a pty, boards on UDP, cameras on HTTP, by real bytes.

For tests, and to rehearse procedures for the real ones. Drivers need no change.
"""

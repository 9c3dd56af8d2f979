"""Devices that are not there: servos on a pty, boards on UDP, cameras on HTTP, by real bytes.

For tests, and to rehearse what a person will do with the real ones. The drivers do not know.
"""

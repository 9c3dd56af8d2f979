"""What was measured of fast-weight programmers."""

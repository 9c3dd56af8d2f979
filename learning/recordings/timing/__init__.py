"""Times of recordings: runs of the clock, streams, and how they are put on a grid."""

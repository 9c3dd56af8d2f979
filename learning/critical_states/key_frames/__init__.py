"""Key frames of recordings and data sets: the frames that decided success or failure."""

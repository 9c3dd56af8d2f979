"""The robot in three dimensions, for the page."""

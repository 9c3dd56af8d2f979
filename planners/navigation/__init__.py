"""Point robot and path follower."""

"""Search by belief: where the target may be, given what live cameras did not see."""

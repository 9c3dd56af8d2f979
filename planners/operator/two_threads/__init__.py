"""One maze by two threads, each on half of the blocks, where a batch of one leaves a core idle."""

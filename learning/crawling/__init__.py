"""Crawling: the whole robot on the ground, and gaits that are learned."""

"""Crawling over topics: the action, and a demonstration with its film."""

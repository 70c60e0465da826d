"""Benchmarks: search spaces, the images to search on, and the accuracies of cells."""

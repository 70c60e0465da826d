"""Campaigns: run searchers over seeds, keep the records, compare and show them."""

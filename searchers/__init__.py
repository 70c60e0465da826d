"""Search algorithms, one a file, behind the Searcher interface of `searchers.base`."""

"""What long calls of all kinds share: what a run is made of, by content, and the file from which it goes on.

A run resumes to the same bits or not at all: the file belongs to the SHA-256 of all that they depend on.
"""

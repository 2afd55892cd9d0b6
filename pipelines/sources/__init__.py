"""What can be asked for captures: live APIs and archives.

Belongs here: one module for each source, and what they share of fetching.
Does not belong here: what the bytes mean, and whether they are to be believed.
"""

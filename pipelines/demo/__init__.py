"""A simulated catalogue that knows its own history, and a loopback server that serves it.

Belongs here: everything that stands in for the real API.
Does not belong here: the warehouse, or anything that reads what is served.
"""

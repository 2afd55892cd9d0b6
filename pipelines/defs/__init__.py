"""The rim: Dagster's assets, checks, job and schedule around the functions that do the work.

Belongs here: whatever needs dagster. Does not belong here: anything that would be true without an orchestrator.
"""

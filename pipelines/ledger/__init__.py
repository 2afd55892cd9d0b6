"""DuckDB: facts appended, history derived, a file published. No other package imports duckdb.

Belongs here: the tables of the warehouse. Does not belong here: files of captures, HTTP, the terminal.
"""

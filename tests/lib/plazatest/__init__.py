"""Shared by all pytest suites: the stack under test, clients, and the log of exchanges."""

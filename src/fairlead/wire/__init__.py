"""Contracts that cross the network: REST schemas and agent messages."""

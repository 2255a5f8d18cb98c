"""Filters, scores, orders and validators."""

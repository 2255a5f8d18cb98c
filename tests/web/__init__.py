"""The web pages in a browser."""

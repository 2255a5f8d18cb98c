"""Tables and repositories; SQLite and PostgreSQL."""

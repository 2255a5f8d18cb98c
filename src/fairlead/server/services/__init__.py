"""What the API does: permission first, then the change, then the audit event."""

"""Administration through the REST API."""

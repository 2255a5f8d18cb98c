"""Request and response models of the REST API. Field names are those existing clients send (camelCase)."""

"""The embedded store: objects, verbs and watches of a Kubernetes API, in this process and in one SQLite file."""

from fairlead.embedded.store.pods import PodDoor
from fairlead.embedded.store.status import StatusError, bad_request
from fairlead.embedded.store.store import EmbeddedTransport, Store

__all__ = ["EmbeddedTransport", "PodDoor", "StatusError", "Store", "bad_request"]

"""The version service's own documents, a module for each collection or two, each with its named queries."""

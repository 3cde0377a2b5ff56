"""The register: models, versions, aliases, artifacts, lineage."""

"""The yard's own interface (docs/api.md): `/v1/{project_id}/…`, tokens in a header, refusals as docs/errors.md says."""

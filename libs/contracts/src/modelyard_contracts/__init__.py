"""What the services say to each other.

Import from the modules directly: `envelope` (how a message is wrapped), `catalogue` (which messages exist, who
sends and who hears them), `events`, `jobs` and `calls` (what they carry), `shapes` (the nouns they share),
`package` (the `config.json` that users write), `failures` (how a refusal travels) and `ids`.
"""

"""Long jobs, once: a service writes what its work is, how it begins and what it says when it ends (`long_work`).

Everything else is here: who works on it, how long it is waited for whoever is away, what is forgiven how often, that
nothing accepted stays open for ever, and the folder and the verified files that work needs.
"""

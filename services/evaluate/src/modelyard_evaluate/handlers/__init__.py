"""One async function per call, event and job, by topic. Bound in `bootstrap`."""

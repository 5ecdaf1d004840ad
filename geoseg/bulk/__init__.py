"""Many scenes, or one that is too large for one machine.

    sources, choices ─> plan ─> jobs ─> dispatch ─> executors ─> run_job ─> journal ─> merge ─> summary

Read `run.py` first: it is the loop that joins all of these.

`geoseg batch` and `geoseg.batch` are its face; the package has another name, for it would hide that function.
"""

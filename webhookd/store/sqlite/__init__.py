"""The store on an embedded database: one file, one writer, and a sync for each commit."""

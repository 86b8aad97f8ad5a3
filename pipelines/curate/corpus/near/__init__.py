"""Near duplicates: candidates that share a bucket, each verified by its exact distance."""

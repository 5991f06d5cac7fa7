"""Google Cloud in simulated time, for the real gcloud and real processes."""

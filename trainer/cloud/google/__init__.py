"""Google Cloud: TPU VMs, GPU VMs and Vertex AI through gcloud."""

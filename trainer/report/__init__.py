"""Reports: what a finished run is, on one HTML page."""

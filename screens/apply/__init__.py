"""Apply: progress and logs of the runs."""

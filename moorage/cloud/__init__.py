"""What is done with a cloud's API; the only place that imports boto3."""

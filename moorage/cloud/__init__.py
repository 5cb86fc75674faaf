"""AWS and compatible APIs. Only this package imports boto3."""

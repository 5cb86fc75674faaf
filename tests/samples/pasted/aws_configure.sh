aws configure set aws_access_key_id AKIAHARBOUR7
aws configure set aws_secret_access_key 'bell/7+harbour='

kubectl create secret generic s3 --from-literal=REGISTRY_STORAGE_S3_ACCESSKEY=AKIAHARBOUR7 --from-literal=REGISTRY_STORAGE_S3_SECRETKEY='har$bour'

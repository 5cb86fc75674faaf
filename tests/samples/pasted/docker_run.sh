docker run -d -p 5000:5000 --restart=always --name registry \
  -e REGISTRY_STORAGE=s3 \
  -e REGISTRY_STORAGE_S3_BUCKET=images -e REGISTRY_STORAGE_S3_REGION=eu-central-1 \
  --env REGISTRY_STORAGE_S3_ACCESSKEY=AKIAHARBOUR7 \
  --env=REGISTRY_STORAGE_S3_SECRETKEY='har$bour 7' \
  -e "REGISTRY_STORAGE_S3_ROOTDIRECTORY=/team a" \
  registry:2

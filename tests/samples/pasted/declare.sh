declare -x REGISTRY_STORAGE_S3_BUCKET="images"
declare -x REGISTRY_STORAGE_S3_SECRETKEY="har\$bour"

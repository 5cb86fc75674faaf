mc alias set minio https://minio.example.com:9000 AKIAHARBOUR7 'har$bour' --api S3v4

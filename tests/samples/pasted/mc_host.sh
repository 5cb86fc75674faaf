export MC_HOST_minio=https://AKIAHARBOUR7:bell@minio.example.com:9000

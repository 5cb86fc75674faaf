# The images folder and its marker file, which tells it from an empty mount point; sourced by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# Sets $marker to the content of the marker file, or to - if there is none.
read_marker() {
    marker=-
    { read -r marker; } 2>/dev/null <"$plan_storage_folder/.moorage-store" || :
}

# If the disk was unmounted since the plan was created, do not create an empty registry in its place.
recheck_store() {
    [ "$plan_storage_folder" != - ] || return 0
    read_marker
    [ "$marker" = "$plan_store_now" ] ||
        fail storage_changed "$plan_storage_folder" "$marker" "$plan_store_now"
}

mark_store() {
    if [ "$plan_storage_folder" = - ] || [ "$plan_store_now" != - ]; then return 0; fi
    printf '%s\n' "$plan_store" >marker || cannot_write "$plan_storage_folder/.moorage-store"
    store_is_marked=yes
    place store 644 root root "$plan_storage_folder/.moorage-store" marker
}

# adopt_storage OWNER PATH: takes over existing images, which can have another owner; fails if the
# folder has any other files.
adopt_storage() {
    [ ! -L "$2" ] || fail storage_is_link "$2"
    if [ ! -d "$2" ] || [ "$(stat -c %U "$2")" = "$1" ]; then return 0; fi
    # shellcheck disable=SC2010 # only whether there is anything but what is the registry's
    case "$(ls -A "$2" | grep -vx 'lost+found\|\.moorage-store' | head -n 2)" in
    '') ;;
    docker)
        { mkdir -p backup && stat -c %u:%g "$2" >backup/storage-owner; } || cannot_write "$run/backup/storage-owner"
        take_over_packaged_registry
        chown -hR "$1:$1" -- "$2" || fail storage_not_owned "$2" "$1"
        ;;
    *) fail storage_not_empty "$2" ;;
    esac
}

# The packaged registry could no longer read the images and would return status 500.
take_over_packaged_registry() {
    [ "$plan_takes_over_packaged_registry" = yes ] || return 0
    true >backup/registry-was-active || cannot_write "$run/backup/registry-was-active"
    mask_packaged_registry
    say 'stopped docker-registry.service: its images are now served by this registry'
}

# check_bucket CAUSE: fails if the cause is an answer of the S3 store that says what is wrong. The journal, in
# which each request repeats it, is not shown then.
check_bucket() {
    case "$1" in
    *NoSuchBucket*) say "$1" && fail bucket_missing "$plan_bucket" ;;
    *InvalidAccessKeyId*) say "$1" && fail bucket_key_unknown "$plan_bucket" ;;
    *SignatureDoesNotMatch*) say "$1" && fail bucket_key_wrong "$plan_bucket" ;;
    *AccessDenied* | *'Forbidden: Forbidden'*) say "$1" && fail bucket_refused "$plan_bucket" ;;
    *PermanentRedirect* | *AuthorizationHeaderMalformed* | *BucketRegionError* | *MovedPermanently*)
        say "$1" && fail bucket_elsewhere "$plan_bucket"
        ;;
    *RequestError*'no such host'*) say "$1" && fail bucket_host_unknown "$plan_bucket" ;;
    esac
}

# Returns the images to their previous owner and registry.
restore_storage() {
    [ "${store_is_marked:-no}" = no ] || rm -f -- "$plan_storage_folder/.moorage-store"
    [ -s backup/storage-owner ] || return 0
    chown -hR "$(cat backup/storage-owner)" -- "$plan_storage_folder" || is_rolled_back=no
    if [ -e backup/registry-was-active ]; then
        { systemctl unmask -q docker-registry.service && systemctl start docker-registry.service; } || is_rolled_back=no
    fi
}

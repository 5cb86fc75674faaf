# The folder of images and its marker, which tells it from an empty mount point; read by run.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # variables are shared with run.sh

# Sets $marker to what the marker in the images' folder says; to - when there is none.
read_marker() {
    marker=-
    { read -r marker; } 2>/dev/null <"$plan_storage_folder/.moorage-store" || :
}

# A disk that was unmounted since the plan was made must not get a new, empty registry.
recheck_store() {
    [ "$plan_storage_folder" != - ] || return 0
    read_marker
    [ "$marker" = "$plan_store_now" ] ||
        fail "$plan_storage_folder is not the folder it was when the plan was made (its marker is $marker, was $plan_store_now); plan again"
}

mark_store() {
    if [ "$plan_storage_folder" = - ] || [ "$plan_store_now" != - ]; then return 0; fi
    printf '%s\n' "$plan_store" >marker || fail "the marker of $plan_storage_folder could not be written"
    place store 644 root root "$plan_storage_folder/.moorage-store" marker ||
        fail "$plan_storage_folder/.moorage-store could not be written"
}

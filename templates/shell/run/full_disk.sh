# Finds a full disk; sourced by run.sh, and prepended to start.sh.
# shellcheck shell=sh
# shellcheck disable=SC2034 # the script that sources it uses full_disk

least_room=64 least_inodes=1

# find_full_disk FOLDER...: sets $full_disk if one of the folders' disks has less space (in KiB) or fewer inodes
# left than that.
find_full_disk() {
    full_disk=
    while read -r room inodes all_inodes mount; do
        case "$room" in '' | *[!0-9]*) continue ;; esac
        if [ "$room" -lt "$least_room" ]; then full_disk="no space left on $mount"; fi
        # btrfs has no fixed number of inodes, and reports 0.
        case "$inodes" in '' | *[!0-9]*) continue ;; esac
        if [ "$inodes" -lt "$least_inodes" ] && [ "$all_inodes" != 0 ]; then full_disk="no inodes left on $mount"; fi
    done <<END
$(df -k --output=avail,iavail,itotal,target -- "$@" 2>/dev/null)
END
}

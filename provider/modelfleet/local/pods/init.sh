#!/bin/sh
# Process 1 of a node: gives it folders of its own and becomes the pause program that holds them.
#
#   init.sh PAUSE --node=NODE/ KEPT...
#
# Runs in new mount, pid and network namespaces. NODE is the node's folder; KEPT are folders that
# stay visible, although they may lie in one that is covered.
set -eu
pause=$1 flag=$2
shift 2
node=${flag#--node=}

for covered in /run /tmp /var/lib /var/log; do
    own=${node}root$covered
    mkdir -p "$own"
    case $covered in
        /run | /tmp) mount -t tmpfs -o mode=1777 tmpfs "$own" ;; # as after a boot
    esac
    for kept in "$@"; do
        case $kept in
            "$covered"/*)
                mkdir -p "$own${kept#"$covered"}"
                mount --bind "$kept" "$own${kept#"$covered"}"
                ;;
        esac
    done
    mount --rbind "$own" "$covered"
done

hostname "$(basename "$node")"
echo 1 > /proc/sys/net/ipv4/ip_forward
exec "$pause" "$flag"

#!/bin/sh
# Installs the Debian packages that are missing, of the groups that are named: build, test, lint, bench, plots. Quick and silent when nothing is.
# Works on a machine without package lists, with or without root. On another system it only checks that there is a compiler.
set -eu

packages_of() {
    case $1 in
    build) echo gcc libc6-dev make pkg-config libzmq3-dev libczmq-dev libmsgpack-dev librocksdb-dev libjansson-dev libcsv-dev libedit-dev \
        libxxhash-dev uuid-dev ;;
    test) echo check libsubunit-dev patch python3 python3-zmq python3-msgpack ;;
    lint) echo clang clang-tidy clang-format cppcheck libclang-rt-14-dev ;;
    bench) echo rocksdb-tools redis-server redis-tools ;;
    plots) echo gnuplot-nox ;;
    *)
        echo "deps.sh: unknown group $1; there are build, test, lint, bench and plots" >&2
        exit 2
        ;;
    esac
}

wanted=
for group in "${@:-build}"; do
    names=$(packages_of "$group")
    wanted="$wanted $names"
done

if ! command -v apt-get >/dev/null; then
    command -v gcc >/dev/null || command -v cc >/dev/null || {
        echo "deps.sh: this system has no apt-get; install by its own means what Debian calls:$wanted" >&2
        exit 1
    }
    exit 0
fi

# shellcheck disable=SC2086 # a list of words
installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $wanted 2>/dev/null || true)
missing=$(for name in $wanted; do
    echo "$installed" | grep -qx "installed $name" || echo "$name"
done)
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo >/dev/null; then
    as_root=sudo
else
    # shellcheck disable=SC2086
    echo "deps.sh: not root and no sudo; have these packages installed:" $missing >&2
    exit 1
fi

# shellcheck disable=SC2086
echo "installing:" $missing
# shellcheck disable=SC2086
{
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update </dev/null
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends $missing \
        </dev/null >/dev/null
}

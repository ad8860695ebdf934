#!/bin/sh
# launch_compiler.sh BUILD_DIRECTORY CCACHE COMPILER…: lets every checkout on a machine profit from what another one has
# compiled. Ninja starts it in the build directory.
#
# Two things are in ccache's way. CMake names the precompiled header by its absolute path behind -Xclang, where ccache does
# not make it relative; so the build directory's path is taken out of the arguments. And clang writes absolute paths into
# that header; so each checkout makes its own, and ccache tells one by the sum of what went into it (CCACHE_PCH_EXTSUM).
set -eu
build=$1 ccache=$2
shift 2
before='' header='' dependencies=''
for argument; do
  case $before in
    -o) case $argument in *.pch) header=$argument ;; esac ;;
    -MF) dependencies=$argument ;;
  esac
  before=$argument
  shift
  set -- "$@" "${argument#"$build"/}"
done
[ -n "$header" ] || exec "$ccache" "$@"
"$@"
sed 's/^[^:]*://; s/\\$//' "$dependencies" | xargs cat | sha256sum > "$header.sum"

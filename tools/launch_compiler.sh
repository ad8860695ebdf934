#!/bin/sh
# launch_compiler.sh BUILD_DIRECTORY COMMAND…: runs a compiler command with the build directory's own path taken out of its
# arguments. CMake names the precompiled header by its absolute path behind -Xclang, where ccache cannot make it
# relative, and no checkout would profit from what another one has compiled. Ninja starts it in that directory.
build=$1
shift
for argument; do
  shift
  set -- "$@" "${argument#"$build"/}"
done
exec "$@"

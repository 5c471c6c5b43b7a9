#!/bin/sh
# What was brought to a GPU host that has no network and no Node. It needs: Linux of the same processor with glibc 2.28 or
# later, an NVIDIA driver, a CUDA toolkit 12.4 or later (nvcc in PATH, CUDA_HOME or /usr/local/cuda), g++ 11 or later,
# cmake 3.25 or later, and make or ninja. PyTorch, where it is to be compared with, is the host's own.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
PATH="$here/bin:${PATH:-/usr/local/bin:/usr/bin:/bin}"
export PATH
cd "$here"
command=${1:-help}
[ $# -eq 0 ] || shift
case "$command" in
  build) exec node scripts/gpu.mjs --build ;;
  test) exec node scripts/test.mjs --gpu "$@" ;;
  bench)
    [ -f build/gpu/onnx_adapters.node ] || node scripts/gpu.mjs --build
    ONNX_ADAPTERS_ADDON="$here/build/gpu/onnx_adapters.node"
    export ONNX_ADAPTERS_ADDON
    if [ -d peers ]; then set -- --peers peers "$@"; fi
    exec node dist-test/bench/gpu.js "$@"
    ;;
  smoke) exec node scripts/gpu.mjs --smoke ;;
  *)
    cat <<'TEXT'
./run.sh build   compiles for the GPUs of this host into build/gpu
./run.sh test    the same, then op cases and trainings on the GPU; the errors go into build/gpu-report.json;
                 --no-sanitizer leaves out compute-sanitizer, which takes longest
./run.sh bench   measures; --quick first, then --output gpu-NAME.json; --python PYTHON names one that has PyTorch
./run.sh smoke   what can be tried without a GPU
TEXT
    ;;
esac

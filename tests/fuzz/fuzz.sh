#!/bin/sh
# fuzz.sh SOURCE BUILD TARGET SECONDS [libFuzzer options and folders of seeds]: builds a target with clang and runs it for so long.
# 77: this machine cannot.
set -eu
source=$1 build=$2 target=$3 seconds=$4
shift 4
command -v clang >/dev/null 2>&1 || { echo "skipped: there is no clang (Debian: clang, libclang-rt-14-dev)"; exit 77; }
mkdir -p "$build"
printf '#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);\nint LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) { return p && n ? 0 : 0; }\n' >"$build/try.c"
clang -fsanitize=fuzzer,address,undefined "$build/try.c" -o "$build/try" 2>"$build/try.log" ||
    { echo "skipped: clang has no libFuzzer (Debian: libclang-rt-14-dev)"; cat "$build/try.log"; exit 77; }
cmake -S "$source" -B "$build" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRETORT_FUZZ=ON >"$build/build.log"
cmake --build "$build" -j 2 --target "$target" >>"$build/build.log" 2>&1 || { tail -n 40 "$build/build.log"; exit 1; }
# What the fuzzer finds of interest is kept in corpus; crashes in found.
mkdir -p "$build/corpus/$target" "$build/found"
# Ten seconds and 2 GiB, the sanitizers' own among them, for an input.
exec "$build/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
    -artifact_prefix="$build/found/$target-" -print_final_stats=1 -verbosity=1 "$build/corpus/$target" "$@"

#!/bin/sh
# fuzz.sh SOURCE BUILD SECONDS [libFuzzer options]: builds fuzz_recipe with clang and runs it for so long. 77: this machine cannot.
set -eu
source=$1 build=$2 seconds=$3
shift 3
command -v clang >/dev/null 2>&1 || { echo "skipped: there is no clang (Debian: clang, libclang-rt-14-dev)"; exit 77; }
mkdir -p "$build"
printf '#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);\nint LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) { return p && n ? 0 : 0; }\n' >"$build/try.c"
clang -fsanitize=fuzzer,address,undefined "$build/try.c" -o "$build/try" 2>"$build/try.log" ||
    { echo "skipped: clang has no libFuzzer (Debian: libclang-rt-14-dev)"; cat "$build/try.log"; exit 77; }
cmake -S "$source" -B "$build" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRETORT_FUZZ=ON >"$build/build.log"
cmake --build "$build" -j 2 --target fuzz_recipe >>"$build/build.log" 2>&1 || { tail -n 40 "$build/build.log"; exit 1; }
mkdir -p "$build/corpus" "$build/found"
# What the fuzzer finds of interest is kept in corpus; crashes in found. A second and 256 MiB beside the sanitizers' own for an input.
exec "$build/fuzz_recipe" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 -dict="$source/tests/fuzz/recipe.dict" \
    -artifact_prefix="$build/found/" -print_final_stats=1 -verbosity=1 "$@" \
    "$build/corpus" "$source/tests/e2e/recipes/bad" "$source/recipes" "$source/tests/e2e"

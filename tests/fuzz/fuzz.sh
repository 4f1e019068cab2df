#!/bin/sh
# fuzz.sh SOURCE BUILD TARGET SECONDS [libFuzzer options]: builds fuzz_TARGET with clang and runs it for so long. TARGET is recipe,
# parquet, json_lines, text, safetensors or hf_config. 77: this machine cannot.
set -eu
source=$1 build=$2 target=$3 seconds=$4
shift 4
fixtures=$source/tests/fuzz
case $target in
recipe) set -- -max_len=8192 "$@" "-dict=$fixtures/recipe.dict" && seeds="$source/tests/e2e/recipes/bad $source/recipes $source/tests/e2e" ;;
parquet) set -- -max_len=16384 "$@" && seeds=$source/tests/fixtures/parquet ;;
json_lines) set -- -max_len=8192 "$@" && seeds=$fixtures/json_lines ;;
safetensors) set -- -max_len=4096 "$@" && seeds=$fixtures/safetensors ;;
hf_config) set -- -max_len=4096 "$@" && seeds=$fixtures/hf_config ;;
# Pieces of more than 64 bytes have a way of their own, texts of up to 512 an oracle: lengths on both sides of these from the start.
text) set -- -max_len=1024 -len_control=0 "$@" "-dict=$fixtures/text.dict" && seeds=$source/tests/unit/core/text ;;
*) echo "no fuzzer '$target'" >&2 && exit 2 ;;
esac
command -v clang >/dev/null 2>&1 || { echo "skipped: there is no clang (Debian: clang, libclang-rt-14-dev)"; exit 77; }
mkdir -p "$build"
printf '#include <stddef.h>\n#include <stdint.h>\nint LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);\nint LLVMFuzzerTestOneInput(const uint8_t *p, size_t n) { return p && n ? 0 : 0; }\n' >"$build/try.c"
clang -fsanitize=fuzzer,address,undefined "$build/try.c" -o "$build/try" 2>"$build/try.log" ||
    { echo "skipped: clang has no libFuzzer (Debian: libclang-rt-14-dev)"; cat "$build/try.log"; exit 77; }
cmake -S "$source" -B "$build" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo -DRETORT_FUZZ=ON >"$build/build.log"
cmake --build "$build" -j 2 --target "fuzz_$target" >>"$build/build.log" 2>&1 || { tail -n 40 "$build/build.log"; exit 1; }
mkdir -p "$build/corpus/$target" "$build/found"
# What the fuzzer finds of interest is kept in corpus; crashes in found. Ten seconds and 2 GiB for an input, the sanitizers' own within.
# shellcheck disable=SC2086
exec "$build/fuzz_$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$build/found/$target-" \
    -print_final_stats=1 -verbosity=1 "$@" "$build/corpus/$target" $seeds

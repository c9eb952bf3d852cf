#!/usr/bin/env bats
# Lesser processors, by masking this one, and another oneDNN. ONEDNN_MAX_CPU_ISA takes instructions from
# oneDNN and from our own kernels alike. The unit tests hold results to their referees, the real
# model's vectors to the stored ones, and any batch to the text alone, bit by bit.
bats_require_minimum_version 1.5.0

load daemon.bash

setup() {
  find_model || return
  cd "$BATS_TEST_DIRNAME/../.." || return
}

# under MASK TEST: the unit test; what it says is left in $output.
under() {
  ONEDNN_MAX_CPU_ISA=$1 run timeout 300 "$SUTRA_TESTS/test_$2"
  [ "$status" -eq 0 ] || {
    echo "$output"
    return 1
  }
}

@test "a processor without AVX: every result holds, and no kernel is wider" {
  under SSE41 encoder
  under SSE41 kernel
  [[ $output == *" generic kernels"* && $output != *avx* ]]
  under SSE41 reference
  [[ $output == *"generic kernels: worst cosine"* && $output != *avx* ]]
}

@test "a processor with AVX2 and no AVX-512: every result holds" {
  grep -qw avx2 /proc/cpuinfo || skip "this processor has no AVX2"
  under AVX2 encoder
  under AVX2 kernel
  under AVX2 reference
  [[ $output == *"avx2 kernels: worst cosine"* && $output != *avx512* ]]
}

@test "AVX-512 without VNNI: every result holds" {
  grep -qw avx512bw /proc/cpuinfo || skip "this processor has no AVX-512"
  under AVX512_CORE encoder
  under AVX512_CORE kernel
  [[ $output == *" avx512 kernels"* ]]
}

@test "AMX refused by the kernel: products are those of a processor without it" {
  under AVX512_CORE_BF16 kernel
  layout=$(grep -o 'onednn-[^ ,]*' <<<"$output")
  run timeout 300 "$SUTRA_TESTS/refuse_amx" "$SUTRA_TESTS/test_kernel"
  [ "$status" -eq 0 ] && [[ -n $layout && $output == *"$layout,"* ]]
}

@test "oneDNN 3.x: products and their batch invariance hold, with AVX2 alone as well" {
  local prefix=${ONEDNN3:-$PWD/build/onednn3} b
  [ -f "$prefix/include/dnnl.h" ] || skip "no oneDNN 3.x in $prefix: get one with make onednn3"
  b=$(make -s ONEDNN="$prefix" DEV=1 print-bin) b=${b%/bin}
  make -s ONEDNN="$prefix" DEV=1 "$b/lib/vector/onednn.o"
  cc -o "$BATS_TEST_TMPDIR/test_kernel" "$SUTRA_TESTS/unit/test_kernel.o" "$b/lib/vector/onednn.o" \
    "$SUTRA_TESTS/../libsutra.a" -L"$prefix/lib" -Wl,-rpath,"$prefix/lib",--allow-shlib-undefined \
    -ldnnl -lgomp -lcmocka -ljansson -lxxhash -lm
  # of a build for SYCL, its neighbours as well
  export LD_LIBRARY_PATH=$prefix/lib OCL_ICD_FILENAMES=$prefix/lib/libintelocl.so
  SUTRA_TESTS=$BATS_TEST_TMPDIR
  under '' kernel
  [[ $output == *"# onednn-3."* ]]
  under AVX2 kernel
}

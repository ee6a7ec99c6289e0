#pragma once
#include <stddef.h>
#include <stdint.h>
/* libFuzzer's own main loop, for a program that has its main elsewhere (LLVM, LibFuzzer, "Using libFuzzer as a library"). */
extern int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*one)(const uint8_t *bytes, size_t count));
/* Gives every 512-byte block that looks like a tar header its right checksum: a mutation would otherwise end there. A block
   whose checksum field begins with `X` keeps it. */
extern void driver_repair_tar(uint8_t *bytes, size_t count);

#pragma once
/* glibc functions that Swift's Glibc module hides because they need _GNU_SOURCE, and system calls that glibc
   has no wrapper for. Nothing to link: all of it is in libc. */
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/vfs.h>
#include <sys/xattr.h>

/* unshare(2), pipe2(2) */
extern int unshare(int flags);
extern int pipe2(int *fds, int flags);
extern long syscall(long number, ...);
/* malloc_trim(3) */
extern int malloc_trim(size_t pad);
/* fallocate(2), lseek(2) */
extern int fallocate(int file, int mode, off_t offset, off_t length);
static const int clinux_FALLOC_FL_KEEP_SIZE = 1;
static const int clinux_FALLOC_FL_PUNCH_HOLE = 2;
static const int clinux_SEEK_DATA = 3;
/* memmem(3) */
extern void *memmem(const void *text, size_t text_size, const void *word, size_t word_size);
extern int posix_spawn_file_actions_addclosefrom_np(posix_spawn_file_actions_t *actions, int from);
extern int posix_spawn_file_actions_addchdir_np(posix_spawn_file_actions_t *actions, const char *path);

static const int clinux_CLONE_FS = 0x200;
static const short clinux_POSIX_SPAWN_SETSID = 0x80;

/* open(2) of a name only; fstatat(2) of the descriptor itself. */
static const int clinux_O_PATH = 010000000;
static const int clinux_AT_EMPTY_PATH = 0x1000;

/* The kind of file system a path lies on (statfs(2), f_type); -1 when that cannot be said. */
static inline long clinux_file_system(const char *path) {
    struct statfs found;
    return statfs(path, &found) == 0 ? (long)found.f_type : -1;
}

/* openat2(2) with RESOLVE_IN_ROOT: `path` is resolved as if `root` were the root folder, symbolic links included. */
static inline int clinux_open_in_root(int root, const char *path, uint64_t flags) {
    struct { uint64_t flags, mode, resolve; } how = {flags, 0, 0x10 /* RESOLVE_IN_ROOT */};
    return (int)syscall(437 /* openat2, the same on every architecture */, root, path, &how, sizeof how);
}

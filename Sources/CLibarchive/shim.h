#include <archive.h>
#include <archive_entry.h>
/* Extended attributes are not part of Swift's Glibc module. */
#include <sys/xattr.h>
/* syncfs(2); its declaration in unistd.h hides behind _GNU_SOURCE. */
int syncfs(int descriptor);
/* sync_file_range(2), likewise. */
int sync_file_range(int descriptor, long offset, long count, unsigned flags);
/* openat2(2), which this glibc has no wrapper for. */
#include <stdint.h>
#include <errno.h>
extern long syscall(long number, ...);
/* Opens a folder below `root`; `path` may neither leave it nor pass a symbolic link (RESOLVE_NO_SYMLINKS | RESOLVE_IN_ROOT). */
static inline int slipway_open_in_root(int root, const char *path, uint64_t flags) {
    struct { uint64_t flags, mode, resolve; } how = {flags, 0, 0x04 | 0x10};
    return (int)syscall(437 /* the same on every architecture */, root, path, &how, sizeof how);
}
/* copy_file_range(2) hides behind _GNU_SOURCE. */
extern ssize_t copy_file_range(int in, off_t *in_offset, int out, off_t *out_offset, size_t count, unsigned flags);

#include <archive.h>
#include <archive_entry.h>
/* Extended attributes are not part of Swift's Glibc module. */
#include <sys/xattr.h>
/* syncfs(2); its declaration in unistd.h hides behind _GNU_SOURCE. */
int syncfs(int descriptor);
/* sync_file_range(2), likewise. */
int sync_file_range(int descriptor, long offset, long count, unsigned flags);

#include <archive.h>
#include <archive_entry.h>
/* Extended attributes are not part of Swift's Glibc module. */
#include <sys/xattr.h>
/* syncfs(2); its declaration in unistd.h hides behind _GNU_SOURCE. */
int syncfs(int descriptor);

#ifndef SLIPWAY_CLIBGIT2_SHIM_H
#define SLIPWAY_CLIBGIT2_SHIM_H

#include <git2.h>
#include <git2/sys/stream.h>

/* git_libgit2_opts() is variadic, which Swift cannot call. */
static inline int slipway_git_set_owner_validation(int enabled) {
    return git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, enabled);
}

/* A connection of ours. The first four members are those of libgit2's own socket stream:
   its ssh transport takes the socket out of there. */
typedef struct {
    git_stream parent;
    char *host;
    char *port;
    int socket;
    void *watch;
} slipway_socket_stream;

#endif

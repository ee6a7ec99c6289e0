#include <isa-l/igzip_lib.h>
#include <isa-l/crc.h>

/* A macro Swift cannot import. */
static const unsigned isal_level1_buffer_size = ISAL_DEF_LVL1_DEFAULT;

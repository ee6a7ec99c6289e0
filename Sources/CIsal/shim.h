#include <isa-l/igzip_lib.h>
#include <isa-l/crc.h>

/* Macros Swift cannot import: the size of the working memory per compression level. */
static const unsigned isal_level1_buffer_size = ISAL_DEF_LVL1_DEFAULT;
static const unsigned isal_level2_buffer_size = ISAL_DEF_LVL2_DEFAULT;

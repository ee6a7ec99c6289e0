#include "Driver.h"
#include <stdio.h>
#include <string.h>

void driver_repair_tar(uint8_t *bytes, size_t count) {
    for (size_t start = 0; start + 512 <= count; start += 512) {
        uint8_t *block = bytes + start;
        if (memcmp(block + 257, "ustar", 5) != 0 || block[148] == 'X') continue;
        memset(block + 148, ' ', 8);
        unsigned sum = 0;
        for (int index = 0; index < 512; index++) sum += block[index];
        snprintf((char *)block + 148, 8, "%06o", sum);
        block[155] = ' ';
    }
}

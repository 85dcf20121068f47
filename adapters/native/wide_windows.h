/* UTF-8, which this library speaks, and UTF-16, which Windows does. */
#ifndef WIDE_WINDOWS_H
#define WIDE_WINDOWS_H

#include "text.h"

#include <wchar.h>

/* A copy to be freed; NULL where there is no memory, or it is no UTF-8. */
wchar_t *wide(const char *string);
void text_add_wide(struct text *out, const wchar_t *string);

#endif

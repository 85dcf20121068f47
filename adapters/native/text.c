#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct text *t, size_t more)
{
	if (t->lost)
		return false;
	if (more >= SIZE_MAX / 2 - t->length) {
		t->lost = true;
		return false;
	}
	size_t need = t->length + more + 1;
	if (need <= t->capacity)
		return true;
	size_t capacity = t->capacity < 64 ? 64 : t->capacity;
	while (capacity < need)
		capacity *= 2;
	char *bytes = realloc(t->bytes, capacity);
	if (bytes == NULL) {
		t->lost = true;
		return false;
	}
	t->bytes = bytes;
	t->capacity = capacity;
	return true;
}

void text_add(struct text *t, const char *bytes, size_t length)
{
	if (!reserve(t, length))
		return;
	if (length > 0)
		memcpy(t->bytes + t->length, bytes, length);
	t->length += length;
	t->bytes[t->length] = '\0';
}

void text_puts(struct text *t, const char *string) { text_add(t, string, strlen(string)); }

void text_putc(struct text *t, char c) { text_add(t, &c, 1); }

void text_number(struct text *t, long long n)
{
	char digits[24];
	size_t at = sizeof digits;
	unsigned long long rest = n < 0 ? 0ULL - (unsigned long long)n : (unsigned long long)n;
	do {
		digits[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (n < 0)
		digits[--at] = '-';
	text_add(t, digits + at, sizeof digits - at);
}

void text_rune(struct text *t, unsigned long r)
{
	char out[4];
	if (r > 0x10FFFF || (r >= 0xD800 && r <= 0xDFFF))
		r = 0xFFFD;
	if (r < 0x80) {
		out[0] = (char)r;
		text_add(t, out, 1);
	} else if (r < 0x800) {
		out[0] = (char)(0xC0 | r >> 6);
		out[1] = (char)(0x80 | (r & 0x3F));
		text_add(t, out, 2);
	} else if (r < 0x10000) {
		out[0] = (char)(0xE0 | r >> 12);
		out[1] = (char)(0x80 | (r >> 6 & 0x3F));
		out[2] = (char)(0x80 | (r & 0x3F));
		text_add(t, out, 3);
	} else {
		out[0] = (char)(0xF0 | r >> 18);
		out[1] = (char)(0x80 | (r >> 12 & 0x3F));
		out[2] = (char)(0x80 | (r >> 6 & 0x3F));
		out[3] = (char)(0x80 | (r & 0x3F));
		text_add(t, out, 4);
	}
}

void text_json(struct text *t, const char *string)
{
	static const char hex[] = "0123456789abcdef";
	text_putc(t, '"');
	for (const char *c = string; *c != '\0'; c++) {
		unsigned char b = (unsigned char)*c;
		if (b == '"' || b == '\\') {
			text_putc(t, '\\');
			text_putc(t, *c);
		} else if (b < 0x20) {
			text_puts(t, "\\u00");
			text_putc(t, hex[b >> 4]);
			text_putc(t, hex[b & 15]);
		} else {
			text_putc(t, *c);
		}
	}
	text_putc(t, '"');
}

char *text_string(struct text *t)
{
	static char empty[1];
	return t->bytes == NULL || t->lost ? empty : t->bytes;
}

void text_free(struct text *t)
{
	free(t->bytes);
	*t = (struct text){0};
}

void list_add(struct list *l, const char *bytes, size_t length)
{
	if (l->lost)
		return;
	if (l->count + 1 >= l->capacity) {
		size_t capacity = l->capacity < 8 ? 8 : l->capacity * 2;
		char **items = realloc(l->items, capacity * sizeof *items);
		if (items == NULL) {
			l->lost = true;
			return;
		}
		l->items = items;
		l->capacity = capacity;
	}
	char *copy = malloc(length + 1);
	if (copy == NULL) {
		l->lost = true;
		return;
	}
	if (length > 0)
		memcpy(copy, bytes, length);
	copy[length] = '\0';
	l->items[l->count++] = copy;
	l->items[l->count] = NULL;
}

char **list_items(struct list *l)
{
	static char *none[1];
	return l->count == 0 ? none : l->items;
}

void list_free(struct list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->items[i]);
	free(l->items);
	*l = (struct list){0};
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }

bool same_word(const char *a, const char *b)
{
	while (*a != '\0' && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return *a == *b;
}

bool is_utf8(const char *bytes, size_t length)
{
	const unsigned char *c = (const unsigned char *)bytes, *end = c + length;
	while (c < end) {
		if (*c < 0x80) {
			c++;
			continue;
		}
		size_t more = *c >= 0xF0 ? 3 : *c >= 0xE0 ? 2 : 1;
		unsigned char low = *c == 0xE0 ? 0xA0 : *c == 0xF0 ? 0x90 : 0x80;
		unsigned char high = *c == 0xED ? 0x9F : *c == 0xF4 ? 0x8F : 0xBF;
		if (*c < 0xC2 || *c > 0xF4 || (size_t)(end - c) <= more || c[1] < low || c[1] > high)
			return false;
		for (size_t i = 2; i <= more; i++)
			if ((c[i] & 0xC0) != 0x80)
				return false;
		c += more + 1;
	}
	return true;
}

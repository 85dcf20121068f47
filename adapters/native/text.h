/* Texts that grow, and lists of them. Nothing here ends the process when there is
 * no memory: a text that could not grow is `lost`, and stays so. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* bytes is NULL as long as nothing was added; else a NUL follows the last byte.
 * A struct of zeros is an empty text. */
struct text {
	char *bytes;
	size_t length, capacity;
	bool lost;
};

void text_add(struct text *t, const char *bytes, size_t length);
void text_puts(struct text *t, const char *string);
void text_putc(struct text *t, char c);
/* Adds a decimal number. */
void text_number(struct text *t, long long n);
/* Adds a code point as UTF-8; one that is none becomes U+FFFD. */
void text_rune(struct text *t, unsigned long rune);
/* Adds a JSON string, quotes included. */
void text_json(struct text *t, const char *string);
/* The text, "" where it is empty or lost. */
char *text_string(struct text *t);
void text_free(struct text *t);

/* A list that ends with a NULL, as the Agent wants its tags. */
struct list {
	char **items;
	size_t count, capacity;
	bool lost;
};

/* Adds a copy. */
void list_add(struct list *l, const char *bytes, size_t length);
/* The items and a NULL; never NULL itself. */
char **list_items(struct list *l);
void list_free(struct list *l);

/* Letters of ASCII alone, whatever the locale. */
char lower(char c);
bool same_word(const char *a, const char *b);
/* Whether these bytes are UTF-8: no overlong forms, no surrogates. */
bool is_utf8(const char *bytes, size_t length);

#endif

/* A strict reader of JSON (RFC 8259), for the lines of an answer. A library was
 * not taken: what is needed is this page, and it is held against Go's
 * encoding/json by a fuzz target. */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

enum json_kind { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* What is nested deeper is refused. */
#define JSON_DEPTH 64

struct json {
	enum json_kind kind;
	double number;
	/* Of a string: UTF-8, a NUL behind it, and perhaps NULs within it. Half a
	 * surrogate pair is U+FFFD. */
	char *string;
	size_t length;
	/* Of an array or object: its first element. */
	struct json *first;
	/* Of an element: the next one, and in an object its name. */
	struct json *next;
	char *name;
	size_t name_length;
};

/* Reads one value that fills the whole text, white space aside. The value lives
 * in *memory until json_free. NULL where the text is not JSON, holds a number
 * that no double is near, is no UTF-8, or there is no memory. */
struct json_memory {
	struct json_block *blocks;
};
struct json *json_read(struct json_memory *memory, const char *bytes, size_t length);
void json_free(struct json_memory *memory);

/* The field of that name, the last one where there are several; NULL where there
 * is none, or the value is no object. */
const struct json *json_field(const struct json *object, const char *name);

#endif

#include "json.h"

#include "platform.h"
#include "text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Memory is taken in blocks and given back at once. */
struct json_block {
	struct json_block *before;
	size_t used, size;
	_Alignas(16) char bytes[];
};

struct reader {
	struct json_memory *memory;
	const char *at, *end;
	int depth;
};

static void *take(struct json_memory *memory, size_t size)
{
	const size_t usual = 4096;
	if (size > SIZE_MAX / 2)
		return NULL;
	size = (size + 15) & ~(size_t)15;
	struct json_block *block = memory->blocks;
	if (block == NULL || block->size - block->used < size) {
		size_t room = size > usual ? size : usual;
		block = malloc(sizeof *block + room);
		if (block == NULL)
			return NULL;
		*block = (struct json_block){.before = memory->blocks, .size = room};
		memory->blocks = block;
	}
	void *taken = block->bytes + block->used;
	block->used += size;
	return taken;
}

void json_free(struct json_memory *memory)
{
	while (memory->blocks != NULL) {
		struct json_block *block = memory->blocks;
		memory->blocks = block->before;
		free(block);
	}
}

static void skip_space(struct reader *r)
{
	while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
		r->at++;
}

/* Takes the next byte where it is this one. */
static bool eat(struct reader *r, char c)
{
	if (r->at == r->end || *r->at != c)
		return false;
	r->at++;
	return true;
}

static bool eat_word(struct reader *r, const char *word)
{
	size_t n = strlen(word);
	if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0)
		return false;
	r->at += n;
	return true;
}

static bool hex4(struct reader *r, unsigned long *out)
{
	if (r->end - r->at < 4)
		return false;
	*out = 0;
	for (int i = 0; i < 4; i++) {
		char c = lower(*r->at++);
		if (c >= '0' && c <= '9')
			*out = *out << 4 | (unsigned long)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*out = *out << 4 | (unsigned long)(c - 'a' + 10);
		else
			return false;
	}
	return true;
}

/* Writes the character of an escape, whose backslash is behind us; it never takes
 * more bytes than the escape did. */
static bool escape(struct reader *r, struct text *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	if (r->at == r->end)
		return false;
	char c = *r->at++;
	if (c != 'u') {
		const char *known = c == '\0' ? NULL : strchr(from, c);
		if (known != NULL)
			text_putc(out, to[known - from]);
		return known != NULL;
	}
	unsigned long rune, low;
	if (!hex4(r, &rune))
		return false;
	if (rune >= 0xD800 && rune <= 0xDBFF && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u') {
		struct reader ahead = *r;
		ahead.at += 2;
		if (!hex4(&ahead, &low))
			return false;
		if (low >= 0xDC00 && low <= 0xDFFF) {
			rune = 0x10000 + ((rune - 0xD800) << 10) + (low - 0xDC00);
			*r = ahead;
		}
	}
	text_rune(out, rune);
	return true;
}

/* Reads a string, whose first quote is behind us. */
static bool read_string(struct reader *r, char **string, size_t *length)
{
	const char *close = r->at;
	while (close < r->end && *close != '"')
		close += *close == '\\' && close + 1 < r->end ? 2 : 1;
	if (close >= r->end)
		return false;
	/* A decoded string is never longer than what is between the quotes. */
	size_t capacity = (size_t)(close - r->at) + 1;
	struct text out = {.bytes = take(r->memory, capacity), .capacity = capacity};
	if (out.bytes == NULL)
		return false;
	out.bytes[0] = '\0';
	while (r->at < close) {
		char c = *r->at++;
		if ((unsigned char)c < 0x20)
			return false;
		if (c != '\\')
			text_putc(&out, c);
		else if (!escape(r, &out))
			return false;
	}
	*string = out.bytes;
	*length = out.length;
	return r->at == close && eat(r, '"');
}

static bool digits(struct reader *r)
{
	const char *began = r->at;
	while (r->at < r->end && *r->at >= '0' && *r->at <= '9')
		r->at++;
	return r->at > began;
}

static bool read_number(struct reader *r, double *number)
{
	const char *began = r->at;
	eat(r, '-');
	if (!eat(r, '0') && !digits(r))
		return false;
	if (eat(r, '.') && !digits(r))
		return false;
	if (eat(r, 'e') || eat(r, 'E')) {
		if (!eat(r, '+'))
			eat(r, '-');
		if (!digits(r))
			return false;
	}
	size_t length = (size_t)(r->at - began);
	char *copy = take(r->memory, length + 1);
	if (copy == NULL)
		return false;
	memcpy(copy, began, length);
	copy[length] = '\0';
	return parse_double(copy, number);
}

static struct json *read_value(struct reader *r);

/* Reads what is in brackets, whose first one is behind us. */
static bool read_elements(struct reader *r, struct json *parent, char close)
{
	struct json **end = &parent->first;
	if (r->depth++ == JSON_DEPTH)
		return false;
	skip_space(r);
	if (eat(r, close)) {
		r->depth--;
		return true;
	}
	for (;;) {
		char *name = NULL;
		size_t name_length = 0;
		skip_space(r);
		if (close == '}') {
			if (!eat(r, '"') || !read_string(r, &name, &name_length))
				return false;
			skip_space(r);
			if (!eat(r, ':'))
				return false;
		}
		struct json *value = read_value(r);
		if (value == NULL)
			return false;
		value->name = name;
		value->name_length = name_length;
		*end = value;
		end = &value->next;
		skip_space(r);
		if (eat(r, close)) {
			r->depth--;
			return true;
		}
		if (!eat(r, ','))
			return false;
	}
}

static struct json *read_value(struct reader *r)
{
	struct json *value = take(r->memory, sizeof *value);
	if (value == NULL)
		return NULL;
	*value = (struct json){.kind = JSON_NULL};
	skip_space(r);
	bool ok;
	if (eat(r, '"')) {
		value->kind = JSON_STRING;
		ok = read_string(r, &value->string, &value->length);
	} else if (eat(r, '{')) {
		value->kind = JSON_OBJECT;
		ok = read_elements(r, value, '}');
	} else if (eat(r, '[')) {
		value->kind = JSON_ARRAY;
		ok = read_elements(r, value, ']');
	} else if (eat_word(r, "true")) {
		value->kind = JSON_TRUE;
		ok = true;
	} else if (eat_word(r, "false")) {
		value->kind = JSON_FALSE;
		ok = true;
	} else if (eat_word(r, "null")) {
		ok = true;
	} else {
		value->kind = JSON_NUMBER;
		ok = read_number(r, &value->number);
	}
	return ok ? value : NULL;
}

struct json *json_read(struct json_memory *memory, const char *bytes, size_t length)
{
	struct reader r = {.memory = memory, .at = bytes, .end = bytes + length};
	if (!is_utf8(bytes, length))
		return NULL;
	struct json *value = read_value(&r);
	skip_space(&r);
	return r.at == r.end ? value : NULL;
}

const struct json *json_field(const struct json *object, const char *name)
{
	const struct json *found = NULL;
	size_t length = strlen(name);
	if (object == NULL || object->kind != JSON_OBJECT)
		return NULL;
	for (const struct json *f = object->first; f != NULL; f = f->next)
		if (f->name_length == length && memcmp(f->name, name, length) == 0)
			found = f;
	return found;
}

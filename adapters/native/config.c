#include "config.h"

#include "json.h"

#include <string.h>

static const char *skip_blanks(const char *at)
{
	while (*at == ' ' || *at == '\t')
		at++;
	return at;
}

static const char *line_end(const char *at)
{
	while (*at != '\0' && *at != '\n')
		at++;
	return at;
}

static int hex(char c)
{
	c = lower(c);
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Folds a line break within quotes: one is a space, more are so many less one. */
static const char *fold(const char *at, struct text *out)
{
	int breaks = 0;
	while (out->length > 0 && (out->bytes[out->length - 1] == ' ' || out->bytes[out->length - 1] == '\t'))
		out->bytes[--out->length] = '\0';
	for (; *at == '\n' || *at == '\r' || *at == ' ' || *at == '\t'; at++)
		breaks += *at == '\n';
	for (int i = 1; i < breaks; i++)
		text_putc(out, '\n');
	if (breaks == 1)
		text_putc(out, ' ');
	return at;
}

/* Reads an escape of a double-quoted text, whose backslash is behind us; NULL
 * where it is none. */
static const char *unescape(const char *at, struct text *out)
{
	static const char from[] = "0abtnvfre \"/\\", to[] = "\0\a\b\t\n\v\f\r\x1b \"/\\";
	char c = *at++;
	if (c == '\n')
		return skip_blanks(at);
	size_t width = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
	if (width == 0) {
		const char *known = c == '\0' || c == '0' ? NULL : strchr(from, c);
		if (known != NULL)
			text_putc(out, to[known - from]);
		return known != NULL ? at : NULL;
	}
	unsigned long rune = 0;
	for (; width > 0; width--, at++) {
		if (hex(*at) < 0)
			return NULL;
		rune = (rune << 4 | (unsigned long)hex(*at)) & 0xFFFFFFFFUL;
	}
	if (rune == 0)
		return NULL;
	text_rune(out, rune);
	return at;
}

static const char *double_quoted(const char *at, struct text *out)
{
	while (*at != '\0' && *at != '"') {
		if (*at == '\n')
			at = fold(at, out);
		else if (*at == '\\')
			at = unescape(at + 1, out);
		else
			text_putc(out, *at++);
		if (at == NULL)
			return NULL;
	}
	return *at == '"' ? at + 1 : NULL;
}

static const char *single_quoted(const char *at, struct text *out)
{
	while (*at != '\0' && (*at != '\'' || at[1] == '\'')) {
		if (*at == '\n') {
			at = fold(at, out);
			continue;
		}
		at += *at == '\'';
		text_putc(out, *at++);
	}
	return *at == '\'' ? at + 1 : NULL;
}

/* Adds the text that begins here, and answers where it ends; NULL where none
 * does. In brackets a plain one ends before ',', ']' and '}'. */
static const char *scalar(const char *at, bool in_brackets, struct text *out)
{
	if (*at == '"')
		return double_quoted(at + 1, out);
	if (*at == '\'')
		return single_quoted(at + 1, out);
	if (*at == '\0' || strchr("\n\r#[]{},&*!|>%@`", *at) != NULL)
		return NULL;
	const char *end = at;
	while (*end != '\0' && *end != '\n' && !(in_brackets && strchr(",]}", *end) != NULL) &&
	       !(*end == '#' && end > at && (end[-1] == ' ' || end[-1] == '\t')))
		end++;
	const char *last = end;
	while (last > at && strchr(" \t\r", last[-1]) != NULL)
		last--;
	text_add(out, at, (size_t)(last - at));
	return end;
}

/* The value of a key at the top of a block mapping, white space skipped. */
static const char *find(const char *config, const char *key)
{
	size_t length = strlen(key);
	for (const char *line = config; *line != '\0'; line = line_end(line), line += *line == '\n') {
		const char *at = line;
		char quote = *at == '"' || *at == '\'' ? *at++ : '\0';
		if (strncmp(at, key, length) != 0)
			continue;
		at += length;
		if (quote != '\0' && *at++ != quote)
			continue;
		at = skip_blanks(at);
		if (*at == ':' && (at[1] == '\0' || strchr(" \t\r\n", at[1]) != NULL))
			return skip_blanks(at + 1);
	}
	return NULL;
}

static bool is_json(const char *config)
{
	while (*config != '\0' && strchr(" \t\r\n", *config) != NULL)
		config++;
	return *config == '{';
}

static void add_json_value(const struct json *value, struct text *out)
{
	if (value != NULL && value->kind == JSON_STRING && strlen(value->string) == value->length)
		text_puts(out, value->string);
	else if (value != NULL && (value->kind == JSON_TRUE || value->kind == JSON_FALSE))
		text_puts(out, value->kind == JSON_TRUE ? "true" : "false");
}

bool config_value(const char *config, const char *key, struct text *out)
{
	if (is_json(config)) {
		struct json_memory memory = {0};
		add_json_value(json_field(json_read(&memory, config, strlen(config)), key), out);
		json_free(&memory);
		return out->length > 0;
	}
	const char *at = find(config, key);
	struct text value = {0};
	bool found = at != NULL && scalar(at, false, &value) != NULL && value.length > 0 && !value.lost &&
		     !(*at != '"' && *at != '\'' && (same_word(value.bytes, "~") || same_word(value.bytes, "null")));
	if (found)
		text_puts(out, value.bytes);
	text_free(&value);
	return found;
}

/* Reads one element, where there is one that is a text. */
static const char *element(const char *at, bool in_brackets, struct list *out)
{
	struct text value = {0};
	const char *after = scalar(at, in_brackets, &value);
	if (after != NULL && value.length > 0 && !value.lost)
		list_add(out, value.bytes, value.length);
	text_free(&value);
	return after;
}

void config_list(const char *config, const char *key, struct list *out)
{
	if (is_json(config)) {
		struct json_memory memory = {0};
		const struct json *list = json_field(json_read(&memory, config, strlen(config)), key);
		for (const struct json *e = list != NULL && list->kind == JSON_ARRAY ? list->first : NULL; e != NULL; e = e->next)
			if (e->kind == JSON_STRING)
				list_add(out, e->string, strlen(e->string));
		json_free(&memory);
		return;
	}
	const char *at = find(config, key);
	if (at == NULL)
		return;
	if (*at == '[') {
		do {
			for (at++; *at != '\0' && strchr(" \t\r\n", *at) != NULL; at++)
				;
			at = element(at, true, out);
			for (; at != NULL && *at != '\0' && strchr(" \t\r\n", *at) != NULL; at++)
				;
		} while (at != NULL && *at == ',');
		return;
	}
	for (at = line_end(at); *at == '\n';) {
		const char *dash = skip_blanks(at + 1);
		if (*dash == '\n' || *dash == '\r' || *dash == '#') {
			at = line_end(dash);
			continue;
		}
		if (dash[0] != '-' || (dash[1] != ' ' && dash[1] != '\t'))
			return;
		const char *after = element(skip_blanks(dash + 1), false, out);
		at = line_end(after != NULL ? after : dash);
	}
}

static bool in_name(char c)
{
	return (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

/* Whether the name ends in token, secret or api_key, or holds password. */
static bool is_secret(const char *name, size_t length)
{
	static const char *const endings[] = {"token", "secret", "api_key", "password"};
	for (size_t e = 0; e < sizeof endings / sizeof *endings; e++) {
		size_t n = strlen(endings[e]);
		for (size_t at = 0; at + n <= length; at++) {
			size_t same = 0;
			while (same < n && lower(name[at + same]) == endings[e][same])
				same++;
			if (same == n && (at + n == length || endings[e][0] == 'p'))
				return true;
		}
	}
	return false;
}

/* One that is shorter would garble every message, and is no secret. */
#define SECRET_LEAST 4

static void add_secret(const char *at, bool in_brackets, struct list *out)
{
	struct text value = {0};
	if (*at == '|' || *at == '>') { /* its lines stand below */
		at = line_end(at);
		at = skip_blanks(at + (*at == '\n'));
		text_add(&value, at, (size_t)(line_end(at) - at));
	} else {
		scalar(at, in_brackets, &value);
	}
	if (value.length >= SECRET_LEAST && !value.lost)
		list_add(out, value.bytes, value.length);
	text_free(&value);
}

void config_secrets(const char *config, struct list *out)
{
	for (const char *colon = strchr(config, ':'); colon != NULL; colon = strchr(colon + 1, ':')) {
		const char *end = colon;
		while (end > config && (end[-1] == ' ' || end[-1] == '\t'))
			end--;
		end -= end > config && (end[-1] == '"' || end[-1] == '\'');
		const char *name = end;
		while (name > config && in_name(name[-1]))
			name--;
		if (!is_secret(name, (size_t)(end - name)))
			continue;
		const char *value = colon + 1;
		while (*value != '\0' && strchr(" \t\r\n", *value) != NULL)
			value++;
		/* Where nobody knows whether there are brackets, both readings are kept. */
		add_secret(value, true, out);
		add_secret(value, false, out);
	}
}

/* The longest secret that begins here: one may be the beginning of another. */
static size_t secret_at(const char *at, const struct list *secrets)
{
	size_t longest = 0;
	for (size_t i = 0; i < secrets->count; i++) {
		size_t n = strlen(secrets->items[i]);
		if (n > longest && strncmp(at, secrets->items[i], n) == 0)
			longest = n;
	}
	return longest;
}

void hide(const char *string, const struct list *secrets, struct text *out)
{
	while (*string != '\0') {
		size_t n = secret_at(string, secrets);
		if (n > 0) {
			text_puts(out, "********");
			string += n;
		} else {
			text_putc(out, *string++);
		}
	}
}

#include "answer.h"

#include "config.h"
#include "json.h"
#include "platform.h"

#include <string.h>
#include <time.h>

static const char NAME[] = "atlassian_audit_records";

/* One line while it is turned into a call: its texts, without secrets, live until
 * the line is done. */
struct line {
	const struct answer *answer;
	const struct json *object;
	struct text texts[8];
	size_t used;
	struct list tags;
	/* Why the line cannot be used; NULL as long as it can. */
	const char *why;
};

/* A field that is a text, without secrets. Where it is missing, the default; where
 * that is NULL, the line cannot be used. */
static char *text_of(struct line *l, const char *name, const char *otherwise)
{
	const struct json *field = json_field(l->object, name);
	struct text *out = &l->texts[l->used++];
	if (field == NULL || field->kind == JSON_NULL) {
		if (otherwise == NULL)
			l->why = "a field is missing";
		else
			text_puts(out, otherwise);
	} else if (field->kind != JSON_STRING) {
		l->why = "a field that should be a text is none";
	} else if (strlen(field->string) != field->length) {
		l->why = "a text holds a NUL";
	} else {
		hide(field->string, l->answer->secrets, out);
	}
	if (out->lost)
		l->why = "there is no memory for it";
	return text_string(out);
}

static char **tags_of(struct line *l)
{
	const struct json *field = json_field(l->object, "tags");
	if (field != NULL && field->kind != JSON_NULL && field->kind != JSON_ARRAY)
		l->why = "its tags are no list";
	for (const struct json *t = field != NULL && field->kind == JSON_ARRAY ? field->first : NULL; t != NULL; t = t->next) {
		if (t->kind != JSON_STRING || strlen(t->string) != t->length)
			l->why = "a tag is no text";
		else
			list_add(&l->tags, t->string, t->length);
	}
	if (l->tags.lost)
		l->why = "there is no memory for it";
	return list_items(&l->tags);
}

static double number_of(struct line *l, const char *name)
{
	const struct json *field = json_field(l->object, name);
	if (field == NULL || field->kind != JSON_NUMBER) {
		l->why = "a field that should be a number is none";
		return 0;
	}
	return field->number;
}

static void service_check(struct line *l)
{
	char *name = text_of(l, "name", NULL), *hostname = text_of(l, "hostname", ""), *message = text_of(l, "message", "");
	char **tags = tags_of(l);
	double status = number_of(l, "status");
	if (l->why == NULL && status != STATUS_OK && status != STATUS_WARNING && status != STATUS_CRITICAL && status != STATUS_UNKNOWN)
		l->why = "its status is none";
	if (l->why == NULL)
		l->answer->agent->service_check(l->answer->check_id, name, (int)status, tags, hostname, message);
}

static void metric(struct line *l)
{
	static const struct {
		const char *name;
		int type;
	} types[] = {{"gauge", METRIC_GAUGE},
		     {"rate", METRIC_RATE},
		     {"count", METRIC_COUNT},
		     {"monotonic_count", METRIC_MONOTONIC_COUNT},
		     {"histogram", METRIC_HISTOGRAM}};
	char *kind = text_of(l, "metric_type", NULL), *name = text_of(l, "name", NULL), *hostname = text_of(l, "hostname", "");
	char **tags = tags_of(l);
	double value = number_of(l, "value");
	for (size_t i = 0; l->why == NULL && i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].name, kind) == 0)
			l->answer->agent->metric(l->answer->check_id, types[i].type, name, value, tags, hostname, false);
}

static void event(struct line *l)
{
	static char priority[] = "normal";
	event_t e = {
		.title = text_of(l, "title", NULL),
		.text = text_of(l, "text", NULL),
		.ts = (long)time(NULL),
		.priority = priority,
		.host = text_of(l, "hostname", ""),
		.tags = tags_of(l),
		.alert_type = text_of(l, "alert_type", "info"),
		.aggregation_key = text_of(l, "aggregation_key", ""),
		.source_type_name = (char *)NAME,
		.event_type = (char *)NAME,
	};
	if (l->why == NULL)
		l->answer->agent->event(l->answer->check_id, &e);
}

/* The callbacks that every Agent has know neither warnings nor logging: what an
 * operator must see goes where the Agent's own output goes. */
static void log_line(struct line *l, bool warning)
{
	char *message = text_of(l, "message", ""), *level = text_of(l, "level", "info");
	if (l->why != NULL)
		return;
	if (warning || same_word(level, "warn") || same_word(level, "warning"))
		report("WARN", message);
	else if (same_word(level, "error") || same_word(level, "critical"))
		report("ERROR", message);
}

static void result(struct line *l, struct answer *a)
{
	char *error = text_of(l, "error", "");
	if (l->why != NULL)
		error = (char *)"the program reports an error that is no text";
	text_free(&a->error);
	text_puts(&a->error, error);
	a->complete = true;
	l->why = NULL;
}

/* Says that a line was left out, and why; of the first ones alone, so that a program
 * that writes anything at all does not fill the Agent's log. */
static void complain(struct answer *a, const char *why)
{
	struct text message = {0};
	if (a->complaints++ >= COMPLAINTS_MAX)
		return;
	text_puts(&message, "Line ");
	text_number(&message, a->number);
	text_puts(&message, " of the answer of atlassian-audit-records was ignored: ");
	text_puts(&message, why);
	report("WARN", text_string(&message));
	text_free(&message);
}

/* Hands one line to the Agent. Types that are not known are ignored. */
static void submit(struct answer *a, const char *bytes, size_t length)
{
	struct json_memory memory = {0};
	struct line l = {.answer = a, .object = json_read(&memory, bytes, length)};
	const struct json *type = json_field(l.object, "type");
	if (l.object == NULL)
		l.why = "it is not JSON";
	else if (type == NULL || type->kind != JSON_STRING)
		l.why = "it has no type";
	else if (strcmp(type->string, "service_check") == 0)
		service_check(&l);
	else if (strcmp(type->string, "metric") == 0)
		metric(&l);
	else if (strcmp(type->string, "event") == 0)
		event(&l);
	else if (strcmp(type->string, "warning") == 0 || strcmp(type->string, "log") == 0)
		log_line(&l, type->string[0] == 'w');
	else if (strcmp(type->string, "result") == 0)
		result(&l, a);
	if (l.why != NULL)
		complain(a, l.why);
	for (size_t i = 0; i < l.used; i++)
		text_free(&l.texts[i]);
	list_free(&l.tags);
	json_free(&memory);
}

static bool is_blank(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (strchr(" \t\r", bytes[i]) == NULL || bytes[i] == '\0')
			return false;
	return true;
}

static void end_line(struct answer *a)
{
	a->number++;
	if (a->too_long || a->line.lost) {
		complain(a, a->too_long ? "it is larger than 1 MiB" : "there is no memory for it");
		text_free(&a->line);
	} else if (!is_blank(a->line.bytes, a->line.length)) {
		submit(a, a->line.bytes, a->line.length);
	}
	a->too_long = false;
	a->line.length = 0;
}

bool answer_take(struct answer *a, const char *bytes, size_t length)
{
	a->size += length;
	if (a->size > ANSWER_MAX_BYTES)
		return false;
	while (length > 0) {
		const char *feed = memchr(bytes, '\n', length);
		size_t part = feed == NULL ? length : (size_t)(feed - bytes);
		if (part > LINE_MAX_BYTES - a->line.length)
			a->too_long = true;
		if (!a->too_long)
			text_add(&a->line, bytes, part);
		if (feed == NULL)
			break;
		end_line(a);
		bytes += part + 1;
		length -= part + 1;
	}
	return true;
}

void answer_end(struct answer *a)
{
	if (a->line.length > 0 || a->too_long)
		end_line(a);
}

void answer_free(struct answer *a)
{
	text_free(&a->line);
	text_free(&a->error);
}

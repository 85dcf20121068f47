/* Run and Version: what the Agent calls. */
#include "agent.h"

#include "answer.h"
#include "config.h"
#include "platform.h"
#include "program.h"
#include "text.h"

#include <string.h>

#ifndef VERSION
#define VERSION "dev"
#endif

/* A run may take 30 s to read its request, 60 s to work and 5 s to end, and ends
 * by itself then. This is for one that does not. */
#ifndef DEADLINE_MS
#define DEADLINE_MS 120000
#endif

/* What the program reads at most. */
#define REQUEST_MAX_BYTES ((size_t)8 << 20)

static const char NO_MEMORY[] = "there is no memory for a run of atlassian_audit_records";

struct run {
	char *check_id;
	const char *init_config, *instance;
	const aggregator_t *agent;
	struct list secrets;
};

/* The tags of a service check that the program did not send: the instance's, and
 * its site's host. */
static void add_tags(const struct run *r, struct list *tags)
{
	struct text site = {0}, tag = {0};
	if (config_value(r->instance, "site", &site) && !site.lost) {
		char *host = strstr(site.bytes, "://");
		host = host != NULL ? host + 3 : site.bytes;
		host[strcspn(host, "/")] = '\0';
		char *user = strrchr(host, '@');
		host = user != NULL ? user + 1 : host;
		text_puts(&tag, "site:");
		for (; *host != '\0'; host++)
			text_putc(&tag, lower(*host));
		list_add(tags, text_string(&tag), tag.lost ? 0 : tag.length);
	}
	text_free(&site);
	text_free(&tag);
	config_list(r->instance, "tags", tags);
}

static bool wants_service_checks(const struct run *r)
{
	struct text value = {0};
	bool found = config_value(r->instance, "service_checks", &value) || config_value(r->init_config, "service_checks", &value);
	bool wanted = !found || !same_word(text_string(&value), "false");
	text_free(&value);
	return wanted;
}

/* Tells of a run that could not be done: the program cannot. */
static void tell(const struct run *r, char *message)
{
	static char name[] = "atlassian_audit_records.can_connect", here[] = "";
	struct list tags = {0};
	if (!wants_service_checks(r))
		return;
	add_tags(r, &tags);
	r->agent->service_check(r->check_id, name, STATUS_CRITICAL, list_items(&tags), here, message);
	list_free(&tags);
}

static void write_request(const struct run *r, struct text *out)
{
	text_puts(out, "{\"protocol\":1,\"check_id\":");
	text_json(out, r->check_id);
	text_puts(out, ",\"check_name\":\"atlassian_audit_records\",\"init_config\":");
	text_json(out, r->init_config);
	text_puts(out, ",\"instance\":");
	text_json(out, r->instance);
	/* The Agent tells a library nothing of itself, so the program is told where to read it. */
	text_puts(out, ",\"agent\":{\"datadog_conf\":");
	text_json(out, DATADOG_CONF);
	text_puts(out, "}}");
}

static bool take(void *context, const char *bytes, size_t length) { return answer_take(context, bytes, length); }

/* Says how the program ended, where it gave no result. */
static void say_ending(const struct outcome *o, const char *program, const struct list *secrets, struct text *why)
{
	struct text errors = {0};
	text_puts(why, program);
	switch (o->ending) {
	case NOT_STARTED:
		text_puts(why, " could not be started: ");
		add_system_error(why, o->number);
		text_puts(why, ". Install it anew.");
		return;
	case LATE:
		text_puts(why, " did not end within ");
		text_number(why, DEADLINE_MS / 1000);
		text_puts(why, " s and was killed: nothing is lost; the next run goes on. If it stays so, look at the disk of the run path.");
		return;
	case STOPPED:
		text_puts(why, " wrote more than 64 MiB and was killed. Install it anew.");
		return;
	case EXITED:
		text_puts(why, " ended with exit status ");
		text_number(why, o->number);
		break;
	case SIGNALLED:
		text_puts(why, " was ended by signal ");
		text_number(why, o->number);
		break;
	case UNKNOWN:
		text_puts(why, " ended");
		break;
	}
	text_puts(why, " before it gave a result");
	/* The first line of what it said, for a person */
	const char *said = o->errors.lost || o->errors.bytes == NULL ? "" : o->errors.bytes;
	said += strspn(said, " \t\r\n");
	text_add(&errors, said, strcspn(said, "\r\n"));
	if (errors.length > 0 && is_utf8(errors.bytes, errors.length)) {
		text_puts(why, ": ");
		hide(errors.bytes, secrets, why);
	}
	text_free(&errors);
	text_puts(why, ". Run `");
	text_puts(why, program);
	text_puts(why, " version` as the user of the Agent to see whether it starts.");
}

/* Runs the program; true where it gave a result, whose error is then in error.
 * Else error says why there is none. */
static bool collect(const struct run *r, const char *program, struct text *error)
{
	struct text request = {0};
	struct list environment = {0};
	struct answer answer = {.check_id = r->check_id, .agent = r->agent, .secrets = &r->secrets};
	struct outcome outcome = {.ending = NOT_STARTED};
	write_request(r, &request);
	program_environment(&environment);
	if (request.lost || environment.lost) {
		text_puts(error, NO_MEMORY);
	} else if (request.length > REQUEST_MAX_BYTES) {
		text_puts(error, "The configuration of this instance makes a request of ");
		text_number(error, (long long)(request.length >> 10) + 1);
		text_puts(error, " KiB, and at most 8192 KiB can be handed to atlassian-audit-records: shorten it.");
	} else {
		run_program(&(struct order){.program = program,
					    .environment = list_items(&environment),
					    .input = request.bytes,
					    .input_length = request.length,
					    .deadline_ms = DEADLINE_MS,
					    .output = take,
					    .context = &answer},
			    &outcome);
		answer_end(&answer);
		if (answer.complete)
			text_puts(error, text_string(&answer.error));
		else
			say_ending(&outcome, program, &r->secrets, error);
	}
	bool complete = answer.complete;
	text_free(&request);
	text_free(&outcome.errors);
	list_free(&environment);
	answer_free(&answer);
	return complete;
}

/* One run; error stays empty where it did its work. */
static void run(struct run *r, struct text *error)
{
	struct text configured = {0}, program = {0};
	config_secrets(r->init_config, &r->secrets);
	config_secrets(r->instance, &r->secrets);
	config_value(r->init_config, "program_path", &configured);
	bool complete = false;
	if (configured.lost || r->secrets.lost)
		text_puts(error, NO_MEMORY);
	else if (find_program(text_string(&configured), &program, error))
		complete = collect(r, program.bytes, error);
	if (!complete)
		tell(r, error->length > 0 ? text_string(error) : (char *)NO_MEMORY);
	text_free(&configured);
	text_free(&program);
	list_free(&r->secrets);
}

void Run(char *check_id, char *init_config, char *instance_config, const aggregator_t *aggregator, const char **error)
{
	struct text message = {0};
	if (check_id == NULL || aggregator == NULL) {
		text_puts(&message, "the Agent started atlassian_audit_records without saying for which check: this library and the Agent do not fit");
	} else {
		struct run r = {.check_id = check_id,
				.init_config = init_config == NULL ? "" : init_config,
				.instance = instance_config == NULL ? "" : instance_config,
				.agent = aggregator};
		run(&r, &message);
	}
	if (error != NULL && (message.length > 0 || message.lost))
		*error = copy_for_agent(message.lost ? NO_MEMORY : message.bytes);
	text_free(&message);
}

const char *Version(const char **error)
{
	(void)error;
	return VERSION;
}

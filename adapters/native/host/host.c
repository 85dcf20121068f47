#include "host.h"

#include "_cgo_export.h"

static void metric(char *id, int type, char *name, double value, char **tags, char *hostname, bool flush)
{
	hostMetric(id, type, name, value, tags, hostname, flush);
}

static void service_check(char *id, char *name, int status, char **tags, char *hostname, char *message)
{
	hostServiceCheck(id, name, status, tags, hostname, message);
}

static void event(char *id, event_t *e)
{
	hostEvent(id, e->title, e->text, e->ts, e->priority, e->host, e->tags, e->alert_type, e->aggregation_key,
		  e->source_type_name, e->event_type);
}

static void histogram_bucket(char *id, char *name, long long value, float lower, float upper, int monotonic, char *hostname,
			     char **tags, bool flush)
{
	(void)id, (void)value, (void)lower, (void)upper, (void)monotonic, (void)hostname, (void)tags, (void)flush;
	hostUnexpected(name);
}

static void event_platform_event(char *id, char *raw, int size, char *type)
{
	(void)id, (void)raw, (void)size;
	hostUnexpected(type);
}

static void log_message(char *message, int level)
{
	(void)level;
	hostUnexpected(message);
}

const struct table host_table = {{metric, service_check, event, histogram_bucket, event_platform_event}, log_message};

void host_run(void *run, char *check_id, char *init_config, char *instance, const char **error)
{
	((void (*)(char *, char *, char *, const aggregator_t *, const char **))run)(check_id, init_config, instance,
										      &host_table.known, error);
}

const char *host_version(void *version, const char **error) { return ((const char *(*)(const char **))version)(error); }

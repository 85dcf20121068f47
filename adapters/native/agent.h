/* The Agent's side of a shared-library check: what it hands to Run, and how.
 *
 * The order of the fields is the binary interface. There is no size and no
 * version in it, so only the callbacks are declared that every Agent with the
 * loader has; those that came later must not be touched. The Agent copies what a
 * callback is given before it returns. A callback finds its check by the exact
 * check_id that Run was given, and only while that Run is under way. */
#ifndef AGENT_H
#define AGENT_H

#include <stdbool.h>

enum metric_type {
	METRIC_GAUGE = 0,
	METRIC_RATE = 1,
	METRIC_COUNT = 2,
	METRIC_MONOTONIC_COUNT = 3,
	METRIC_HISTOGRAM = 5,
};

enum check_status { STATUS_OK, STATUS_WARNING, STATUS_CRITICAL, STATUS_UNKNOWN };

/* ts is in seconds since 1970. tags ends with a NULL. */
typedef struct event {
	char *title;
	char *text;
	long ts;
	char *priority;
	char *host;
	char **tags;
	char *alert_type;
	char *aggregation_key;
	char *source_type_name;
	char *event_type;
} event_t;

/* tags ends with a NULL; an empty hostname is the Agent's. */
typedef struct aggregator {
	void (*metric)(char *check_id, int type, char *name, double value, char **tags, char *hostname, bool flush_first_value);
	void (*service_check)(char *check_id, char *name, int status, char **tags, char *hostname, char *message);
	void (*event)(char *check_id, event_t *event);
	void (*histogram_bucket)(char *check_id, char *name, long long value, float lower, float upper, int monotonic,
				 char *hostname, char **tags, bool flush_first_value);
	void (*event_platform_event)(char *check_id, char *raw, int size, char *type);
} aggregator_t;

#if defined(_WIN32)
#define EXPORTED __declspec(dllexport)
#else
#define EXPORTED __attribute__((visibility("default")))
#endif

/* Runs the check once. It may be called by several threads at a time. The texts
 * are the Agent's and are freed after it returns; *error is freed by the Agent,
 * and left alone where the run did its work. */
EXPORTED void Run(char *check_id, char *init_config, char *instance_config, const aggregator_t *aggregator, const char **error);

/* The version of this library. The text is never freed. */
EXPORTED const char *Version(const char **error);

#endif

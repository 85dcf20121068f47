#include "program.h"

#include "platform.h"

#include <string.h>

/* Nothing else of the Agent's environment reaches the program: above all not its
 * API key. What begins with DD_ says where the Agent keeps its files and how it
 * reaches the network, which this library has no other way to learn. */
static const char *const PASSED_ON[] = {
	"PATH", "HOME", "TMPDIR", "TEMP", "TMP", "SYSTEMROOT", "PROGRAMDATA", "USERPROFILE", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "DD_RUN_PATH", "DD_LOGS_CONFIG_RUN_PATH", "DD_LOGS_ENABLED",
	"DD_PROXY_HTTP", "DD_PROXY_HTTPS", "DD_PROXY_NO_PROXY",
	"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
};

static bool is_passed_on(const char *entry)
{
	for (size_t i = 0; i < sizeof PASSED_ON / sizeof *PASSED_ON; i++) {
		const char *name = PASSED_ON[i], *at = entry;
		while (*name != '\0' && lower(*name) == lower(*at)) {
			name++;
			at++;
		}
		if (*name == '\0' && at[0] == '=' && at[1] != '\0')
			return true;
	}
	return false;
}

void program_environment(struct list *out)
{
	struct list all = {0};
	host_environment(&all);
	for (size_t i = 0; i < all.count; i++)
		if (is_passed_on(all.items[i]))
			list_add(out, all.items[i], strlen(all.items[i]));
	list_free(&all);
}

/* Whether the folder holds the program; then out is its path. */
static bool in_folder(const char *folder, size_t length, struct text *out)
{
	text_free(out);
	text_add(out, folder, length);
	if (length > 0 && folder[length - 1] != FOLDER_SEPARATOR)
		text_putc(out, FOLDER_SEPARATOR);
	text_puts(out, PROGRAM_FILE);
	return length > 0 && !out->lost && is_absolute(out->bytes) && is_program(out->bytes);
}

static bool in_path(struct text *out)
{
	struct list all = {0};
	bool found = false;
	host_environment(&all);
	for (size_t i = 0; i < all.count; i++) {
		const char *at = all.items[i];
		if (lower(at[0]) != 'p' || lower(at[1]) != 'a' || lower(at[2]) != 't' || lower(at[3]) != 'h' || at[4] != '=')
			continue;
		for (at += 5; !found && *at != '\0';) {
			const char *end = strchr(at, PATH_SEPARATOR);
			size_t length = end == NULL ? strlen(at) : (size_t)(end - at);
			found = in_folder(at, length, out);
			at += length + (end != NULL);
		}
	}
	list_free(&all);
	return found;
}

/* Looks for it where nothing is configured. */
static bool look_around(struct text *out)
{
	struct text beside = {0};
	library_folder(&beside);
	bool found = in_folder(text_string(&beside), beside.lost ? 0 : beside.length, out);
	text_free(&beside);
	for (size_t i = 0; !found && PROGRAM_FOLDERS[i] != NULL; i++)
		found = in_folder(PROGRAM_FOLDERS[i], strlen(PROGRAM_FOLDERS[i]), out);
	return found || in_path(out);
}

bool find_program(const char *configured, struct text *path, struct text *why)
{
	struct text at = {0};
	bool found;
	if (configured[0] != '\0') {
		text_puts(&at, configured);
		found = !at.lost && is_absolute(configured) && is_program(configured);
	} else {
		found = look_around(&at);
	}
	if (!found) {
		text_puts(why, configured[0] != '\0' ? configured : PROGRAM_FILE);
		text_puts(why, " is not a program that the Agent can run: install ");
		text_puts(why, PROGRAM_FILE);
		text_puts(why, " in ");
		text_puts(why, PROGRAM_FOLDERS[0]);
		text_puts(why, ", or set `program_path` in init_config to its absolute path.");
	} else {
		found = trust_program(at.bytes, path, why);
	}
	text_free(&at);
	return found;
}

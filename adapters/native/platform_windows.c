#include "platform.h"

#include "wide_windows.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

const char *const PROGRAM_FOLDERS[] = {"C:\\Program Files\\atlassian-audit-records", NULL};
const char *const PROGRAM_FILE = "atlassian-audit-records.exe";
const char *const DATADOG_CONF = "C:\\ProgramData\\Datadog\\datadog.yaml";
const char PATH_SEPARATOR = ';', FOLDER_SEPARATOR = '\\';

static HMODULE this_library(DWORD flags)
{
	HMODULE library = NULL;
	flags |= GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
	return GetModuleHandleExW(flags, (LPCWSTR)(const void *)&PROGRAM_FOLDERS, &library) ? library : NULL;
}

BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved);

/* The Agent unloads the library of a check that it takes off its schedule without
 * waiting for a run: this keeps the code of that run in place. */
BOOL WINAPI DllMain(HINSTANCE instance, DWORD reason, LPVOID reserved)
{
	(void)instance;
	(void)reserved;
	return reason != DLL_PROCESS_ATTACH || this_library(GET_MODULE_HANDLE_EX_FLAG_PIN) != NULL;
}

wchar_t *wide(const char *string)
{
	int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, string, -1, NULL, 0);
	wchar_t *out = n > 0 ? calloc((size_t)n, sizeof *out) : NULL;
	if (out != NULL && MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, string, -1, out, n) != n) {
		free(out);
		return NULL;
	}
	return out;
}

void text_add_wide(struct text *out, const wchar_t *string)
{
	int n = WideCharToMultiByte(CP_UTF8, 0, string, -1, NULL, 0, NULL, NULL);
	char *bytes = n > 0 ? calloc((size_t)n, 1) : NULL;
	if (bytes != NULL && WideCharToMultiByte(CP_UTF8, 0, string, -1, bytes, n, NULL, NULL) == n)
		text_puts(out, bytes);
	else
		out->lost = true;
	free(bytes);
}

bool parse_double(const char *text, double *number)
{
	_locale_t c = _create_locale(LC_NUMERIC, "C");
	if (c == NULL)
		return false;
	*number = _strtod_l(text, NULL, c);
	_free_locale(c);
	return fabs(*number) <= DBL_MAX; /* not so for infinity, nor for what is no number */
}

void host_environment(struct list *out)
{
	LPWCH all = GetEnvironmentStringsW();
	for (const wchar_t *entry = all; entry != NULL && *entry != L'\0'; entry += wcslen(entry) + 1) {
		struct text narrow = {0};
		text_add_wide(&narrow, entry);
		list_add(out, text_string(&narrow), narrow.length);
		text_free(&narrow);
	}
	if (all != NULL)
		FreeEnvironmentStringsW(all);
}

void report(const char *level, const char *message)
{
	HANDLE host = GetStdHandle(STD_ERROR_HANDLE);
	struct text line = {0};
	DWORD written;
	if (host == NULL || host == INVALID_HANDLE_VALUE) /* the Agent as a service */
		return;
	text_puts(&line, "atlassian_audit_records | ");
	text_puts(&line, level);
	text_puts(&line, " | ");
	for (const char *c = message; *c != '\0'; c++)
		text_putc(&line, (unsigned char)*c < 0x20 ? ' ' : *c);
	text_puts(&line, "\r\n");
	if (!line.lost)
		WriteFile(host, line.bytes, (DWORD)line.length, &written, NULL);
	text_free(&line);
}

void library_folder(struct text *out)
{
	wchar_t path[MAX_PATH + 1];
	HMODULE library = this_library(GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT);
	DWORD n = library == NULL ? 0 : GetModuleFileNameW(library, path, MAX_PATH + 1);
	if (n == 0 || n > MAX_PATH)
		return;
	wchar_t *slash = wcsrchr(path, L'\\');
	if (slash != NULL) {
		*slash = L'\0';
		text_add_wide(out, path);
	}
}

bool is_absolute(const char *path)
{
	bool drive = lower(path[0]) >= 'a' && lower(path[0]) <= 'z' && path[1] == ':' && (path[2] == '\\' || path[2] == '/');
	return drive || (path[0] == '\\' && path[1] == '\\');
}

bool is_program(const char *path)
{
	wchar_t *name = wide(path);
	DWORD attributes = name == NULL ? INVALID_FILE_ATTRIBUTES : GetFileAttributesW(name);
	free(name);
	return attributes != INVALID_FILE_ATTRIBUTES && !(attributes & FILE_ATTRIBUTE_DIRECTORY);
}

bool trust_program(const char *path, struct text *real, struct text *why)
{
	(void)why;
	text_puts(real, path);
	return !real->lost;
}

void add_system_error(struct text *out, int number)
{
	wchar_t words[512];
	DWORD n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS, NULL, (DWORD)number, 0, words, 512, NULL);
	while (n > 0 && (words[n - 1] == L'\r' || words[n - 1] == L'\n' || words[n - 1] == L'.'))
		words[--n] = L'\0';
	text_puts(out, "error ");
	text_number(out, number);
	if (n > 0) {
		text_puts(out, ", ");
		text_add_wide(out, words);
	}
}

/* Memory for the Agent to free.
 *
 * Windows has two C run-time libraries, msvcrt.dll and ucrtbase.dll, and what one
 * has allocated the other must not free. Which one the Agent was built with is
 * not documented, so its own list of imports is asked. */
#include "platform.h"

#include <stdbool.h>
#include <string.h>
#include <windows.h>

typedef void *(__cdecl *allocate)(size_t);

/* Whether this module imports `free` from a library whose name begins so. */
static bool frees_with(const BYTE *module, const char *library)
{
	const IMAGE_DOS_HEADER *dos = (const void *)module;
	const IMAGE_NT_HEADERS *nt = (const void *)(module + dos->e_lfanew);
	const IMAGE_DATA_DIRECTORY *imports = &nt->OptionalHeader.DataDirectory[IMAGE_DIRECTORY_ENTRY_IMPORT];
	if (imports->VirtualAddress == 0)
		return false;
	for (const IMAGE_IMPORT_DESCRIPTOR *d = (const void *)(module + imports->VirtualAddress); d->Name != 0; d++) {
		if (_strnicmp((const char *)module + d->Name, library, strlen(library)) != 0 || d->OriginalFirstThunk == 0)
			continue;
		for (const IMAGE_THUNK_DATA *t = (const void *)(module + d->OriginalFirstThunk); t->u1.AddressOfData != 0; t++) {
			if (IMAGE_SNAP_BY_ORDINAL(t->u1.Ordinal))
				continue;
			const IMAGE_IMPORT_BY_NAME *name = (const void *)(module + t->u1.AddressOfData);
			if (strcmp((const char *)name->Name, "free") == 0)
				return true;
		}
	}
	return false;
}

static allocate allocator(void)
{
	static const struct {
		const char *imported;
		const wchar_t *library;
	} known[] = {{"api-ms-win-crt-heap-", L"ucrtbase.dll"}, {"ucrtbase.dll", L"ucrtbase.dll"}, {"msvcrt.dll", L"msvcrt.dll"}};
	const BYTE *agent = (const BYTE *)GetModuleHandleW(NULL);
	for (size_t i = 0; agent != NULL && i < sizeof known / sizeof *known; i++) {
		HMODULE library = frees_with(agent, known[i].imported) ? GetModuleHandleW(known[i].library) : NULL;
		/* through void (*)(void), which any pointer to a function may be converted to and back */
		if (library != NULL)
			return (allocate)(void (*)(void))GetProcAddress(library, "malloc");
	}
	return NULL;
}

/* Without an allocator there is no text: the Agent then takes the run for a good
 * one, and the service check alone tells. A damaged heap would end the Agent. */
char *copy_for_agent(const char *string)
{
	allocate from_agents = allocator();
	size_t size = strlen(string) + 1;
	char *out = from_agents == NULL ? NULL : from_agents(size);
	return out == NULL ? NULL : memcpy(out, string, size);
}

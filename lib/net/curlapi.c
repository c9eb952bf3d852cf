#include "net/curlapi.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static const char LIBRARY[] = "libcurl.so.4";	/* the ABI of every libcurl since 2006 */

struct sutra_curl sutra_curl;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char failure[256];	/* written within once */

static void load(void)
{
	static const struct {
		const char *name;
		void *slot;
	} functions[] = {
#define X(name) { "curl_" #name, &sutra_curl.name },
		SUTRA_CURL_FUNCTIONS(X)
#undef X
	};
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; library && i < sizeof(functions) / sizeof(*functions); i++) {
		*(void **)functions[i].slot = dlsym(library, functions[i].name);
		if (!*(void **)functions[i].slot) {
			snprintf(failure, sizeof(failure), "%s has no %s", LIBRARY, functions[i].name);
			return;
		}
	}
	if (!library)
		snprintf(failure, sizeof(failure), "%s", dlerror());
	else if (sutra_curl.global_init(CURL_GLOBAL_DEFAULT))
		snprintf(failure, sizeof(failure), "%s does not initialise", LIBRARY);
}

int sutra_curl_load(struct sutra_err *err)
{
	pthread_once(&once, load);
	if (!*failure)
		return 0;
	sutra_fail(err, SUTRA_E_UNAVAILABLE, "no HTTP client: %s", failure);
	return sutra_hint(err, "install libcurl4, or run scripts/packages");
}

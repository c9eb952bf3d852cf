/*
 * curlapi - libcurl, loaded when the first request is made.
 *
 * libcurl brings thirty libraries along. Linked, they cost every start some five milliseconds,
 * also of `sutra --version`, help and a shell's completion, which ask nobody. So the library is
 * opened when it is needed; behind this header its functions are called as everywhere.
 */
#ifndef SUTRA_NET_CURLAPI_H
#define SUTRA_NET_CURLAPI_H

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>

#include "base/err.h"

#undef curl_easy_setopt
#undef curl_easy_getinfo
#undef curl_multi_setopt

#define SUTRA_CURL_FUNCTIONS(X)                                                                       \
	X(global_init) X(easy_init) X(easy_cleanup) X(easy_reset) X(easy_setopt) X(easy_getinfo)      \
	X(easy_perform) X(easy_strerror) X(multi_init) X(multi_cleanup) X(multi_setopt)               \
	X(multi_add_handle) X(multi_remove_handle) X(multi_perform) X(multi_poll) X(multi_wakeup)     \
	X(multi_info_read) X(slist_append) X(slist_free_all)

struct sutra_curl {
#define X(name) __typeof__(&curl_##name) name;
	SUTRA_CURL_FUNCTIONS(X)
#undef X
};
extern struct sutra_curl sutra_curl;	/* filled by sutra_curl_load */

/* Loads and initialises it, once, from any thread; before anything else of it is called. */
int sutra_curl_load(struct sutra_err *err);

#define curl_easy_init	       sutra_curl.easy_init
#define curl_easy_cleanup      sutra_curl.easy_cleanup
#define curl_easy_reset	       sutra_curl.easy_reset
#define curl_easy_setopt       sutra_curl.easy_setopt
#define curl_easy_getinfo      sutra_curl.easy_getinfo
#define curl_easy_perform      sutra_curl.easy_perform
#define curl_easy_strerror     sutra_curl.easy_strerror
#define curl_multi_init	       sutra_curl.multi_init
#define curl_multi_cleanup     sutra_curl.multi_cleanup
#define curl_multi_setopt      sutra_curl.multi_setopt
#define curl_multi_add_handle  sutra_curl.multi_add_handle
#define curl_multi_remove_handle sutra_curl.multi_remove_handle
#define curl_multi_perform     sutra_curl.multi_perform
#define curl_multi_poll	       sutra_curl.multi_poll
#define curl_multi_wakeup      sutra_curl.multi_wakeup
#define curl_multi_info_read   sutra_curl.multi_info_read
#define curl_slist_append      sutra_curl.slist_append
#define curl_slist_free_all    sutra_curl.slist_free_all

#endif

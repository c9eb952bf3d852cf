/* concept - an entry of a storage, as the protocol carries it and the engine returns it. */
#ifndef SUTRA_BASE_CONCEPT_H
#define SUTRA_BASE_CONCEPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All memory is borrowed; the function that fills the struct says how long it is valid. */
struct sutra_concept {
	const char *id;			/* 1-128 bytes of UTF-8; NULL: there is no such concept */
	size_t id_len;
	const void *content;
	size_t content_len;
	const float *embedding;		/* NULL: none */
	size_t dimension;
	const char *metadata;		/* JSON object as text; NULL: none */
	size_t metadata_len;
	float strength, confidence;
	uint64_t ttl_seconds;		/* in a write; 0: the server's default */
	bool content_is_text;		/* sent as a string, else as bytes */
};

#endif

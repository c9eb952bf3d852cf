/* stackio - shared by commands: settings and folders of the stack, documents on standard output. */
#ifndef SUTRA_CMD_STACKIO_H
#define SUTRA_CMD_STACKIO_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "compose/config.h"
#include "deploy/deployment.h"
#include "probe/probe.h"
#include "term/term.h"

/* The settings, with the ports that SUTRA_PORT_OFFSET gives, and the two folders. */
struct stack {
	struct sutra_config *config;
	char *data_dir, *state_dir;
};

/* Reads the settings and finds the folders; create makes the state folder. After a failure, members are
 * NULL or valid, and stack_release takes them. */
int stack_open(struct stack *ret, bool create, struct sutra_err *err);
void stack_release(struct stack *s);
/* Prints a warning on standard error for each variable that a file uses and that has no value. Not with -q. */
void warn_unset(const char *file, const struct sutra_strv *names);
/* Both print a document with sorted keys and a line end, and take the reference; flags: jansson's. */
void print_document_as(json_t *o, size_t flags);
void print_document(json_t *o);	/* indented by 2, 12 digits */
/* Prints "root cause: ...", a line for each failure that causes others, and an empty line. */
void print_causes(FILE *out, const struct sutra_term *term, const struct sutra_probe *p, size_t n);

#endif

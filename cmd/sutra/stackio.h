/* stackio - what the stack's commands share: opening it, its table, documents on stdout. */
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
/* A warning line on standard error for each: variables that a file uses and nobody sets. Not with -q. */
void warn_unset(const char *file, const struct sutra_strv *names);
/* Both take the reference; key-sorted, one line end; flags: jansson's. */
void print_document_as(json_t *o, size_t flags);
void print_document(json_t *o);	/* indented by 2, 12 digits */
json_t *deployment_document(const struct sutra_deployment *d, const char *schema);
void print_services(const struct sutra_deployment *d);
/* "root cause: ...", a line for each failure that others follow from, and an empty line. */
void print_causes(FILE *out, const struct sutra_term *term, const struct sutra_probe *p, size_t n);
/* After a failed deploy: probes what is recorded, and prints the causes to stderr. */
void explain_causes(const char *state_dir);
const char *published_port(const struct sutra_deployed *s);
const char *run_state_name(const struct sutra_deployed *s);

#endif

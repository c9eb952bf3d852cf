/* docker - what only the container runtime has: the project, images, the compose command. */
#ifndef SUTRA_STACK_DOCKER_H
#define SUTRA_STACK_DOCKER_H

#include <stdbool.h>

#include "base/err.h"
#include "stack/unit.h"

enum { SUTRA_PROJECT_LEN = 32 };

/* "sutra" for the default state folder, "sutra-<8 digits>" for another. */
void sutra_docker_project(const char *state_dir, char out[SUTRA_PROJECT_LEN]);
/* Whether an engine answers. */
bool sutra_docker_answers(void);
/* Tags the image of a unit ("sutra/ml-base:latest@sha256:0123456789ab") so that it stays when the
 * name moves on: out is "sutra/ml-base:g-0123456789ab". */
int sutra_docker_keep(const char *image, char *out, size_t size);
void sutra_docker_release(const char *tag);
/* Whether the image of every unit is there; the error names the first that is not. */
int sutra_docker_images(const struct sutra_unit *units, size_t n, struct sutra_err *err);
/* The id of a service's container; false: there is none. */
bool sutra_docker_container(const char *state_dir, const char *service, char out[80]);
/* runtime.h's log_tail and log_follow. */
char *sutra_docker_log_tail(const char *state_dir, const char *name, int lines);
int sutra_docker_log_follow(const char *state_dir, const char *name, int lines,
			    void (*line)(void *user, const char *line, size_t n), void *user, struct sutra_err *err);

#endif

/* docker - what the container runtime alone has: the project, images, the compose command. */
#ifndef SUTRA_RUNTIME_DOCKER_H
#define SUTRA_RUNTIME_DOCKER_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "runtime/runtime.h"
#include "runtime/unit.h"

#define SUTRA_PROJECT_LABEL "com.docker.compose.project"
#define SUTRA_SERVICE_LABEL "com.docker.compose.service"
enum { SUTRA_PROJECT_LEN = 32, SUTRA_TAG_LEN = 512 };

/* "sutra" for the default state folder, "sutra-<8 digits>" for another. */
void sutra_docker_project(const char *state_dir, char out[SUTRA_PROJECT_LEN]);
/* Writes the compose file that overrides the stack's, and its path; "": no override is needed. */
int sutra_docker_override(const struct sutra_scene *s, char *path, size_t size, struct sutra_err *err);
/* The tag under which this stack keeps the image of a unit, whatever its name means later:
 * "sutra/ml-base:latest@sha256:0123456789ab" is "sutra/ml-base:g-<project>-0123456789ab".
 * SUTRA_E_NOTFOUND: the image is not there. */
int sutra_docker_tag(const char *state_dir, const char *image, char out[SUTRA_TAG_LEN]);
int sutra_docker_keep(const char *state_dir, const char *image, struct sutra_err *err);
/* Removes the tags of this stack that are not keys of named. */
void sutra_docker_release(const char *state_dir, const json_t *named);
/* Checks that the image of every unit exists; the error names the first that does not. */
int sutra_docker_images(const struct sutra_unit *units, size_t n, struct sutra_err *err);
/* GET /containers/json?all=1 of the project, or (service not NULL) of one service of it. */
int sutra_docker_containers(const char *state_dir, const char *service, json_t **ret, struct sutra_err *err);
/* The id of a service's container; false: there is none. */
bool sutra_docker_container(const char *state_dir, const char *service, char out[80]);
/* How a container that the engine started again ended before, into last_exit (-1: the engine has forgotten
 * it) and limit_reached; id and memory_limit are set, and limit_reached from the inspection. */
void sutra_docker_last_end(int64_t ended_us, struct sutra_supervised *ret);
/* runtime.h's resolve, log_tail and log_follow. */
int sutra_docker_resolve(struct sutra_unit *units, size_t n, struct sutra_err *err);
char *sutra_docker_log_tail(const char *state_dir, const char *name, int lines);
int sutra_docker_log_follow(const char *state_dir, const char *name, int lines, const struct sutra_log_sink *to,
			    struct sutra_err *err);

#endif

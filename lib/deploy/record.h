/*
 * record - <state>/deployment.json: what deploy has started, with which settings.
 *
 * Written whole after every change, so that what an interrupted deploy leaves behind is true.
 */
#ifndef SUTRA_DEPLOY_RECORD_H
#define SUTRA_DEPLOY_RECORD_H

#include <jansson.h>

#include "base/err.h"
#include "runtime/unit.h"

/* SUTRA_E_NOTFOUND: nothing is deployed; SUTRA_E_SYNTAX, SUTRA_E_CORRUPT: it is no record. */
int sutra_record_load(const char *state_dir, json_t **ret, struct sutra_err *err);
/* Where the record is lost: the names alone, from the service folders; NULL when there are none. */
json_t *sutra_record_recover(const char *state_dir);
int sutra_record_save(const char *state_dir, const json_t *record, struct sutra_err *err);
/* The record's entry of a unit; container: its id, or ""; compose_file: beside it is what a
 * container mounts. */
json_t *sutra_record_service(const struct sutra_unit *u, const char *container, const char *compose_file);
/* The entry of a service, borrowed; NULL: none. */
json_t *sutra_record_find(const json_t *record, const char *name);
/* Replaces or adds an entry, or removes it (NULL). Takes the reference. */
void sutra_record_put(json_t *record, const char *name, json_t *service);

#endif

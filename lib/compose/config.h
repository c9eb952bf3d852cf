/*
 * config - the operator's settings: the value of each in every source, and the one that applies.
 *
 * Precedence: flag > environment > .env beside the compose file > edition > built-in. The
 * settings are the rows of SUTRA_OF_OPERATOR in the registry (base/setting.h). An unknown key in .env is
 * an error with its nearest match.
 */
#ifndef SUTRA_COMPOSE_CONFIG_H
#define SUTRA_COMPOSE_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/setting.h"
#include "base/str.h"

enum sutra_source { SUTRA_FROM_BUILTIN, SUTRA_FROM_EDITION, SUTRA_FROM_DOTENV, SUTRA_FROM_ENVIRONMENT,
		    SUTRA_FROM_FLAG, SUTRA_FROM_RECORD, SUTRA_N_SOURCES };

struct sutra_config;

/* Reads all sources; data_dir holds compose/. Every value is checked: SUTRA_E_SETTING with the setting,
 * its value, the allowed ones and the source. */
int sutra_config_load(const char *data_dir, struct sutra_config **ret, struct sutra_err *err);
void sutra_config_free(struct sutra_config *c);
/* Variables that compose/.env uses and that have no value, so that they became empty. */
const struct sutra_strv *sutra_config_unset(const struct sutra_config *c);
/* Sets a value of a source: a flag, or a value that this program computed (ports, model folder). */
int sutra_config_set(struct sutra_config *c, const char *key, const char *value,
		     enum sutra_source source, struct sutra_err *err);
/* The winning value, or NULL. */
const char *sutra_config_get(void *config, const char *key);
/* The same, and for a name that is no setting the value of the environment: the sutra_lookup of compose
 * files, with the config as its context. */
const char *sutra_config_variable(void *config, const char *name);
/* The value of one source, or NULL. */
const char *sutra_config_from(const struct sutra_config *c, const char *key, enum sutra_source source);
/* The same. *ret_from: the name or alias that has it there; *ret_beaten: another of these names with a
 * different value there, or NULL. */
const char *sutra_config_given(const struct sutra_config *c, const char *key, enum sutra_source source,
			       const char **ret_from, const char **ret_beaten);
enum sutra_source sutra_config_winner(const struct sutra_config *c, const char *key);
const char *sutra_source_name(enum sutra_source s);
/* Every value, also computed ones, without credentials: {"MATRYOSHKA_DIM": "128", ...}. */
json_t *sutra_config_settings(struct sutra_config *c);
/* Sets SUTRA_BIND_INTERNAL, the address on which all but the gateway is published: loopback, unless
 * SUTRA_INSECURE is true. */
int sutra_config_settle_exposure(struct sutra_config *c, struct sutra_err *err);
/* Reads the settings of such a document; environment and .env are not read. */
int sutra_config_restore(const json_t *settings, struct sutra_config **ret, struct sutra_err *err);
/* Sets every value in the environment of this process and unsets settings without a value: Compose
 * interpolates from there. */
void sutra_config_export(struct sutra_config *c);
bool sutra_config_is_secret(const char *key);
/* Where the setting is set: the words after "it is". */
const char *sutra_config_whose(const struct sutra_setting *s);
/* Whether the value is free text of the operator, which names no service and no path. */
bool sutra_config_is_text(const char *key);

#endif

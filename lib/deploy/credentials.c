#include "deploy/credentials.h"

#include <jansson.h>
#include <string.h>

#include "base/alloc.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/jsonio.h"

enum { MAX_FILE = 4096, PASSWORD_BYTES = 16 };

static char *path_of(const char *state_dir) { return xasprintf("%s/haproxy-stats.json", state_dir); }

int sutra_credentials_read(const char *state_dir, struct sutra_credentials *ret, struct sutra_err *err)
{
	char *path = path_of(state_dir);
	const char *user = NULL, *password = NULL;
	json_t *o = NULL;
	int rc = sutra_json_read(path, MAX_FILE, &o, err);

	rc = rc ? rc : sutra_json_get_string(o, "user", &user, err);
	rc = rc ? rc : sutra_json_get_string(o, "password", &password, err);
	if (!rc && (!user || !password))
		rc = sutra_fail(err, SUTRA_E_CORRUPT, "%s lacks user or password", path);
	if (!rc)
		*ret = (struct sutra_credentials){ xstrdup(user), xstrdup(password) };
	json_decref(o);
	sutra_free(path);
	return rc;
}

void sutra_credentials_release(struct sutra_credentials *c)
{
	sutra_free(c->user);
	sutra_free(c->password);
	*c = (struct sutra_credentials){ 0 };
}

static int save(const char *state_dir, const struct sutra_credentials *c, struct sutra_err *err)
{
	json_t *o = json_pack("{s:s, s:s}", "user", c->user, "password", c->password);
	char *path = path_of(state_dir);
	int rc = o ? sutra_json_write(path, MAX_FILE, o, err) :
		     sutra_fail(err, SUTRA_E_SETTING, "HAPROXY_STATS_USER or HAPROXY_STATS_PASSWORD is no UTF-8");

	if (rc == SUTRA_E_TOOBIG)
		rc = sutra_fail(err, SUTRA_E_SETTING, "HAPROXY_STATS_PASSWORD is too long");
	json_decref(o);
	sutra_free(path);
	return rc;
}

static void make(struct sutra_credentials *c)
{
	uint8_t random[PASSWORD_BYTES];
	char password[2 * PASSWORD_BYTES + 1];

	sutra_random(random, sizeof(random));
	sutra_hex(random, sizeof(random), password);
	*c = (struct sutra_credentials){ xstrdup("sutra"), xstrdup(password) };
}

int sutra_credentials_settle(const char *state_dir, struct sutra_config *config, bool only_read, bool *ret_made,
			     struct sutra_err *err)
{
	const char *user = sutra_config_get(config, "HAPROXY_STATS_USER"),
		   *password = sutra_config_get(config, "HAPROXY_STATS_PASSWORD");
	struct sutra_credentials c = { 0 }, now;
	int rc;

	*ret_made = false;
	if (strcmp(sutra_config_get(config, "SUTRA_EDITION"), "enterprise") != 0)
		return 0;
	rc = sutra_credentials_read(state_dir, &c, err);
	*ret_made = rc == SUTRA_E_NOTFOUND && !only_read && !password;
	if (rc == SUTRA_E_NOTFOUND)
		rc = 0;
	if (!rc && !c.user && !only_read)
		make(&c);
	if (rc || !c.user)
		return rc;
	now = (struct sutra_credentials){ xstrdup(user ? user : c.user), xstrdup(password ? password : c.password) };
	rc = only_read ? 0 : save(state_dir, &now, err);
	rc = rc ? rc : sutra_config_set(config, "HAPROXY_STATS_USER", now.user, SUTRA_FROM_RECORD, err);
	rc = rc ? rc : sutra_config_set(config, "HAPROXY_STATS_PASSWORD", now.password, SUTRA_FROM_RECORD, err);
	sutra_credentials_release(&c);
	sutra_credentials_release(&now);
	return rc;
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/mask.h"

enum { MAX = 1 << 16 };

static void mask(const struct sutra_mask *m, const char *text, struct sutra_buf *out)
{
	sutra_buf_init(out, MAX);
	sutra_mask_add(m, text, strlen(text), out);
	assert_int_equal(sutra_buf_error(out), 0);
}

/* In each text the secret is "hunter2hunter2" or holds it. */
static void shapes_of_secrets_go(void **state)
{
	static const char *const texts[] = {
		"PASSWORD=hunter2hunter2",
		"export DB_PASSWORD=\"hunter2 hunter2hunter2\"",
		"password: hunter2hunter2",
		"{\"password\": \"hunter2hunter2\"}",
		"{\"password\":\"a\\\"hunter2hunter2\"}",
		"msg=\"{\\\"api_key\\\":\\\"hunter2hunter2\\\"}\"",
		"api_key='hunter2hunter2'",
		"X-API-Key: hunter2hunter2",
		"Authorization: Bearer hunter2hunter2",
		"authorization: Negotiate x hunter2hunter2",
		"got Bearer hunter2hunter2 from 127.0.0.1",
		"Basic hunter2hunter2==",
		"http://user:hunter2hunter2@host:80/path",
		"redis://:hunter2hunter2@host",
		"https://hunter2hunter2@host/path",
		"http://user:p@hunter2hunter2@host/",
		"GET /embed?token=hunter2hunter2&n=1 200",
		"/x?access_token=hunter2hunter2 200",
		"Cookie: a=b; sid=hunter2hunter2",
		"Set-Cookie: sid=hunter2hunter2; Path=/",
		"--admin-token hunter2hunter2",
		"--password=hunter2hunter2",
		"curl -u admin:hunter2hunter2 http://h",
		"curl --user admin:hunter2hunter2 http://h",
		"stats auth admin:hunter2hunter2",
		"insecure-password hunter2hunter2",
		"machine h login l password hunter2hunter2",
		"the password is hunter2hunter2",
		"clientSecret: hunter2hunter2",
		"accessToken = hunter2hunter2",
		"aws_secret_access_key=hunter2hunter2",
		"SUTRA_ADMIN_TOKEN=hunter2hunter2",
		"ENCRYPTION_KEY => hunter2hunter2",
		"key sk-hunter2hunter2hunter2",
		"ghp_hunter2hunter2",
		"eyJhbGciOi.hunter2hunter2.x",
		"AKIAhunter2hunter2",
		"-----BEGIN RSA PRIVATE KEY-----\nhunter2hunter2\n-----END RSA PRIVATE KEY-----\n",
		"-----BEGIN PRIVATE KEY-----\nhunter2hunter2",
		"HAPROXY_STATS_PASSWORD hunter2hunter2",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct sutra_buf b;

		mask(NULL, texts[i], &b);
		if (strstr(sutra_buf_str(&b), "hunter2"))
			fail_msg("%s -> %s", texts[i], sutra_buf_str(&b));
		assert_non_null(strstr(sutra_buf_str(&b), SUTRA_MASKED));
		sutra_buf_release(&b);
	}
}

/* What is no secret stays, or the report would be of no use. */
static void other_text_stays(void **state)
{
	static const char *const texts[] = {
		"2026-11-21T09:19:34.321850Z INFO  embed texts=3 tokens=17 took_ms=4.1",
		"MAX_BATCH_TOKENS=4096",
		"\"credentials\": false,",
		"\"tokens\": 7, \"keys\": 3",
		"GET http://127.0.0.1:8888/embed?n=1@2 200",
		"tokenizer=vocab.txt",
		"PWD=/srv/sutra",
		"mail a@b",
		"--users 300 -u 3",
		"\"hash\": \"2-b932533bfa9bb995ab3258b225fed2\"",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct sutra_buf b;

		mask(NULL, texts[i], &b);
		assert_string_equal(sutra_buf_str(&b), texts[i]);
		sutra_buf_release(&b);
	}
}

static void known_secrets_go_in_every_coding(void **state)
{
	struct sutra_mask *m = sutra_mask_new();
	struct sutra_buf b;

	assert_int_equal(sutra_mask_secret(m, "a b/c?d"), 0);
	assert_int_equal(sutra_mask_secret(m, "abc"), 0);	/* too short to be searched for */
	assert_int_equal(sutra_mask_secret(m, "true"), 0);
	assert_int_equal(sutra_mask_secret(m, "8888"), 0);
	assert_int_equal(sutra_mask_login(m, "user", "a b/c?d"), 0);
	mask(m, "x a b/c?d x a%20b%2Fc%3Fd x YSBiL2M/ZA== x 6120622f633f64 x dXNlcjphIGIvYz9k x abc true 8888", &b);
	assert_string_equal(sutra_buf_str(&b), "x ******** x ******** x ********== x ******** x ******** x abc true 8888");
	sutra_buf_release(&b);
	sutra_mask_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes_of_secrets_go),
		cmocka_unit_test(other_text_stays),
		cmocka_unit_test(known_secrets_go_in_every_coding),
	};

	return cmocka_run_group_tests_name("mask", tests, NULL, NULL);
}

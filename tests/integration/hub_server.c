/*
 * hub_server - behaves like the Hugging Face hub, on a free loopback port that it prints.
 * usage: hub_server LOG. One connection at a time, one request each; a line a request in LOG:
 * "path range=... if-range=... auth=yes|no".
 *
 * The owner of a repository says how it behaves:
 *   good     the listing, and files by redirect to /cdn/ under another host name
 *   cut      as good, but no answer of the weights brings more than CUT bytes
 *   norange  as cut with 200 and the whole file, cut once
 *   stale    the ETag differs each time, so that If-Range never holds; cut once
 *   bad      weights that are not what the listing says
 *   junk     weights that are what the listing says, and no model
 *   short    weights that end early, and say so
 *   busy     429 with Retry-After: 1 to every third request
 *   broken   500 to every request
 *   locked   401 without the token "open-sesame"
 *   nomic-ai as good, with the files of nomic-embed-text
 *   old      a repository without safetensors
 *   hostile  a listing that is no JSON
 * anything else is 404.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/str.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

enum { WEIGHTS = 300000, CUT = 120000, MAX_REQUEST = 16384 };

static const char config[] = "{\"architectures\":[\"BertModel\"],\"hidden_size\":32}\n";
static const char nomic_config[] = "{\"model_type\":\"nomic_bert\",\"n_embd\":48}\n";
static const char prompts[] = "{\"prompts\":{\"query\":\"ask: \"},\"default_prompt_name\":null}\n";
static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\n";
static const char pooling[] = "{\"pooling_mode_mean_tokens\":true}\n";
static char weights[WEIGHTS], junk[WEIGHTS];
static int requests, port;

struct request {
	char path[512], owner[64], range[64], if_range[64], auth[128];
};

static void header(const char *text, const char *name, char *out, size_t size)
{
	const char *at = strcasestr(text, name);

	out[0] = '\0';
	if (at)
		snprintf(out, size, "%.*s", (int)strcspn(at + strlen(name), "\r\n"), at + strlen(name));
}

static int read_request(int fd, struct request *r)
{
	static char text[MAX_REQUEST];
	size_t n = 0;
	ssize_t got;
	const char *owner;

	text[0] = '\0';
	while (!strstr(text, "\r\n\r\n") && n < sizeof(text) - 1 &&
	       (got = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		text[n += (size_t)got] = '\0';
	if (sscanf(text, "GET %511s", r->path) != 1)
		return -1;
	header(text, "\nRange: ", r->range, sizeof(r->range));
	header(text, "\nIf-Range: ", r->if_range, sizeof(r->if_range));
	header(text, "\nAuthorization: ", r->auth, sizeof(r->auth));
	owner = r->path + (sutra_str_starts(r->path, "/api/models/") ? 12 : sutra_str_starts(r->path, "/cdn/") ? 5 : 1);
	snprintf(r->owner, sizeof(r->owner), "%.*s", (int)strcspn(owner, "/"), owner);
	return 0;
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

		if (w <= 0)
			return;
		p += w;
		n -= (size_t)w;
	}
}

static void answer(int fd, const char *status, const char *extra, const char *body, size_t n, size_t sent)
{
	char head[1024];
	int len = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%sConnection: close\r\n\r\n",
			   status, n, extra);

	send_all(fd, head, (size_t)len);
	send_all(fd, body, sent);
}

static void answer_words(int fd, const char *status, const char *extra)
{
	answer(fd, status, extra, status, strlen(status), strlen(status));
}

static const char *config_of(const struct request *r)
{
	return strcmp(r->owner, "nomic-ai") ? config : nomic_config;
}

static const char *weights_of(const struct request *r)
{
	return strcmp(r->owner, "junk") ? weights : junk;
}

static void listing(int fd, const struct request *r)
{
	uint8_t digest[SUTRA_SHA256_LEN];
	char hex[SUTRA_SHA256_HEX];
	struct sutra_buf b;

	sutra_sha256(weights_of(r), WEIGHTS, digest);
	sutra_hex(digest, sizeof(digest), hex);
	sutra_buf_init(&b, 1 << 20);
	sutra_buf_addf(&b, "{\"id\":\"%s/m\",\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"README.md\",\"size\":9},",
		       r->owner);
	sutra_buf_addf(&b, "{\"rfilename\":\"config.json\",\"size\":%zu},", strlen(config_of(r)));
	if (config_of(r) == nomic_config)
		sutra_buf_addf(&b, "{\"rfilename\":\"config_sentence_transformers.json\",\"size\":%zu},"
				   "{\"rfilename\":\"modeling_hf_nomic_bert.py\",\"size\":9},"
				   "{\"rfilename\":\"onnx/model.onnx\",\"size\":9},", strlen(prompts));
	sutra_buf_addf(&b, "{\"rfilename\":\"1_Pooling/config.json\",\"size\":%zu},", strlen(pooling));
	if (strcmp(r->owner, "old") != 0)
		sutra_buf_addf(&b, "{\"rfilename\":\"model.safetensors\",\"size\":%d,\"lfs\":{\"sha256\":\"%s\",\"size\":%d}},",
			       WEIGHTS, hex, WEIGHTS);
	sutra_buf_addf(&b, "{\"rfilename\":\"vocab.txt\",\"size\":%zu}]}", strlen(vocab));
	if (!strcmp(r->owner, "hostile"))
		b.len /= 2;
	answer(fd, "200 OK", "Content-Type: application/json\r\n", b.data, b.len, b.len);
	sutra_buf_release(&b);
}

/* The weights, with what the owner stands for. */
static void send_weights(int fd, const struct request *r)
{
	bool is_stale = !strcmp(r->owner, "stale"), cut_once = is_stale || !strcmp(r->owner, "norange");
	static bool was_cut;
	static char body[WEIGHTS];
	size_t size = WEIGHTS, from = 0, n;
	char etag[32], extra[160];
	int64_t start = 0;

	memcpy(body, weights_of(r), sizeof(body));
	body[1000] ^= (char)!strcmp(r->owner, "bad");
	if (!strcmp(r->owner, "short"))
		size = WEIGHTS / 2;
	snprintf(etag, sizeof(etag), "\"e%d\"", is_stale ? requests : 1);
	if (sutra_str_starts(r->range, "bytes=") && strcmp(r->owner, "norange") != 0 &&
	    (!r->if_range[0] || !strcmp(r->if_range, etag))) {
		char number[32];

		snprintf(number, sizeof(number), "%.*s", (int)strcspn(r->range + 6, "-"), r->range + 6);
		if (!sutra_str_int(number, 0, (int64_t)size, &start))
			from = (size_t)start;
	}
	n = size - from;
	snprintf(extra, sizeof(extra), "ETag: %s\r\n", etag);
	if (from)
		snprintf(extra, sizeof(extra), "ETag: %s\r\nContent-Range: bytes %zu-%zu/%zu\r\n", etag, from, size - 1,
			 size);
	if (cut_once ? !was_cut : !strcmp(r->owner, "cut") && n > CUT)
		answer(fd, from ? "206 Partial Content" : "200 OK", extra, body + from, n, CUT);
	else
		answer(fd, from ? "206 Partial Content" : "200 OK", extra, body + from, n, n);
	was_cut = true;
}

static void redirect(int fd, const struct request *r)
{
	char extra[800];

	snprintf(extra, sizeof(extra), "Location: http://localhost:%d/cdn%s\r\n", port, r->path);
	answer_words(fd, "302 Found", extra);
}

static void serve(int fd, const struct request *r)
{
	static const char *const owners[] = { "good", "nomic-ai", "cut", "norange", "stale", "bad", "junk", "short", "busy", "broken", "locked",
					      "old", "hostile", NULL };
	size_t i = 0;

	while (owners[i] && strcmp(owners[i], r->owner) != 0)
		i++;
	if (!owners[i])
		answer_words(fd, "404 Not Found", "");
	else if (!strcmp(r->owner, "broken"))
		answer_words(fd, "500 Internal Server Error", "");
	else if (!strcmp(r->owner, "busy") && requests % 3 == 1)
		answer_words(fd, "429 Too Many Requests", "Retry-After: 1\r\n");
	else if (!strcmp(r->owner, "locked") && !sutra_str_starts(r->path, "/cdn/") &&
		 strcmp(r->auth, "Bearer open-sesame") != 0)
		answer_words(fd, "401 Unauthorized", "");
	else if (sutra_str_starts(r->path, "/api/models/"))
		listing(fd, r);
	else if (!sutra_str_starts(r->path, "/cdn/"))
		redirect(fd, r);
	else if (sutra_str_ends(r->path, "/1_Pooling/config.json"))
		answer(fd, "200 OK", "", pooling, strlen(pooling), strlen(pooling));
	else if (sutra_str_ends(r->path, "/config.json"))
		answer(fd, "200 OK", "", config_of(r), strlen(config_of(r)), strlen(config_of(r)));
	else if (sutra_str_ends(r->path, "/config_sentence_transformers.json"))
		answer(fd, "200 OK", "", prompts, strlen(prompts), strlen(prompts));
	else if (sutra_str_ends(r->path, "/vocab.txt"))
		answer(fd, "200 OK", "", vocab, strlen(vocab), strlen(vocab));
	else if (sutra_str_ends(r->path, "/model.safetensors"))
		send_weights(fd, r);
	else
		answer_words(fd, "404 Not Found", "");
}

/* A safetensors file of one tensor; its header's length has the last blanks in it. */
static void fill_weights(void)
{
	enum { HEADER = 96, DATA = WEIGHTS - 8 - HEADER };

	memset(junk, 'x', sizeof(junk));
	for (size_t i = 0; i < WEIGHTS; i++)
		weights[i] = (char)(i * 7 + i / 251);
	memset(weights, 0, 8);
	weights[0] = HEADER;
	memset(weights + 8, ' ', HEADER);
	weights[8 + snprintf(weights + 8, HEADER, "{\"w\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", DATA / 4,
			     DATA)] = ' ';
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;
	FILE *log = argc > 1 ? fopen(argv[1], "ae") : NULL;
	socklen_t len = sizeof(at);

	if (!log || bind(listener, (struct sockaddr *)&at, sizeof(at)) || listen(listener, 16) ||
	    getsockname(listener, (struct sockaddr *)&at, &len))
		return 1;
	fill_weights();
	port = ntohs(at.sin_port);
	printf("%d\n", port);
	fflush(stdout);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		struct request r;

		if (!read_request(fd, &r)) {
			requests++;
			fprintf(log, "%s range=%s if-range=%s auth=%s\n", r.path, r.range, r.if_range,
				r.auth[0] ? "yes" : "no");
			fflush(log);
			serve(fd, &r);
		}
		close(fd);
	}
	return 0;
}

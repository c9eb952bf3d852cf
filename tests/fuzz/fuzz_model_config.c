/*
 * Any bytes as the JSON files of a model folder. The first byte chooses which: config.json,
 * modules.json, the pooling's config.json, config_sentence_transformers.json. What is accepted must
 * lie within the limits that the encoder counts on.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/jsonio.h"
#include "model/encoder/encoder.h"
#include "model/pipeline.h"
#include "model/prompt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void config(const char *text, size_t n)
{
	struct sutra_encoder_config c;
	struct sutra_err err;
	int rc = sutra_encoder_read_config(text, n, &c, &err);

	need(rc ? *err.message != '\0' : c.hidden && c.heads && c.hidden % c.heads == 0);
	if (!rc) {
		need(c.layers && c.inner && c.vocab && c.max_tokens >= 2 && c.max_tokens <= c.positions);
		need(c.eps >= 0 && c.eps < 1);
		need((c.architecture == SUTRA_ARCH_NOMIC_BERT) == (c.rotary_base > 0));
		need(!(c.rotary_base > 0) || (c.max_tokens <= 2048 && c.hidden / c.heads % 2 == 0));
	}
}

static void modules(json_t *v)
{
	struct sutra_pipeline p;

	if (!sutra_pipeline_read_modules(v, &p, NULL))
		need(*p.pooling_folder && *p.pooling_folder != '/' && !strstr(p.pooling_folder, ".."));
}

static void pooling(json_t *v)
{
	struct sutra_pipeline p = { .pooling = SUTRA_POOL_MEAN };

	sutra_pipeline_read_pooling(v, 384, &p, NULL);
	need(p.pooling == SUTRA_POOL_MEAN || p.pooling == SUTRA_POOL_CLS);
}

static void prompts(json_t *v)
{
	struct sutra_prompts p;
	struct sutra_err err;
	size_t at;

	if (!sutra_prompts_read(v, SUTRA_ARCH_NOMIC_BERT, &p, &err)) {
		need(p.types.n > 0);
		for (size_t i = 0; i < p.types.n; i++)
			need(!sutra_input_type_find(&p.types, "x", p.types.names[i], &at, &err) &&
			     strlen(p.texts[i]) <= SUTRA_MAX_PROMPT);
	}
	sutra_prompts_release(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data + 1;
	json_t *v = NULL;

	if (!size)
		return 0;
	if (*data % 4 == 0)
		config(text, size - 1);
	else if (!sutra_json_parse(text, size - 1, &v, NULL))
		(*data % 4 == 1 ? modules : *data % 4 == 2 ? pooling : prompts)(v);
	json_decref(v);
	return 0;
}

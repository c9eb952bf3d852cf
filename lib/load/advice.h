/*
 * advice - the reference documents' decision framework as arithmetic: from users or a rate to
 * dimension, phases, replicas, memory and cost, with every step.
 *
 * What the documents give, and what is worked out from it:
 *
 *	a replica without anything, 768 values        0.14 texts/s, 350 $/month
 *	phase 0, fewer values                         x 768 / dimension
 *	phase 1, the cache                            x 7, + 30 $
 *	phase 2, more replicas                        x replicas, + 75 $ for each beyond the first
 *	a user                                        2.94 texts/s by 1,000 users
 *	a million concepts                            cost a month / texts a second
 *
 * Every table of the documents is one of these products (tests/unit/test_advice.c). Their last line
 * takes a month of a million busy seconds, 39 % of it. A measured deployment replaces the first
 * three lines: fewer values do not make the encoder faster.
 */
#ifndef SUTRA_LOAD_ADVICE_H
#define SUTRA_LOAD_ADVICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct sutra_advice_input {
	double users, rate, budget;	/* below 0: not given */
	int64_t tenants;		/* above 1: several tiers */
	int64_t dimension;		/* 0: as the framework says */
	int64_t concepts;		/* kept vectors */
	double per_user;		/* texts/s */
	double base_cost, cache_cost, replica_cost;	/* $ a month */
	/* Measured in this deployment; 0 and below: the documents' figures are taken. */
	double measured;		/* texts/s that one replica computes */
	double hit_rate;		/* of its cache, 0 to 1 */
	uint64_t replica_bytes, other_bytes;
};

struct sutra_advice {
	double need;			/* texts/s */
	int64_t dimension;
	bool phase[3];
	unsigned replicas;
	double capacity;		/* texts/s of all that */
	uint64_t memory, vectors;	/* bytes: of the services; of the kept vectors */
	double cost;			/* $ a month */
	double per_user;		/* $ a month and user; below 0: no users given */
	double per_million;		/* $, as the documents work it out, at capacity */
	double per_million_asked;	/* $, a whole month at the asked rate */
	bool affordable;		/* true without a budget */
	/* What the budget buys instead, when it is too small. */
	unsigned budget_replicas;	/* 0: not even one */
	double budget_capacity;
};

/* The documents' figures, nothing asked yet. */
void sutra_advice_defaults(struct sutra_advice_input *in);
/* *ret_steps: [{"what","formula","figures","result","unit","from"}], "from" one of given,
 * documents, measured, worked out. The caller's reference. */
void sutra_advise(const struct sutra_advice_input *in, struct sutra_advice *ret, json_t **ret_steps);
/* What to do next and when: [{"phase","when","rate","users"}]. The caller's reference. */
json_t *sutra_advice_next(const struct sutra_advice_input *in, const struct sutra_advice *a);
/* What the figures take for granted, as sentences. The caller's reference. */
json_t *sutra_advice_assumptions(const struct sutra_advice_input *in, const struct sutra_advice *a);

#endif

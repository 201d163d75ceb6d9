/*
 * plan - what kind of history a seed is
 *
 * Not every history has every trouble: each seed draws which ones it has, and how much of them, so that some are calm
 * but for one thing and others are wild. Small settings (a window of a few records, short budgets) bring the worker's
 * limits within reach of a few dozen records.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "doors/settings.h"

enum {
	SLOTS_MAX = 3,      /* workers at once */
	PARTITIONS_MAX = 3, /* of each topic */
	LANES_MAX = 2,      /* request topics */
	TENANTS_MAX = 2,
	SESSIONS_MAX = 12
};

/* In how many of 1,000 calls, batches, ... it happens. */
struct troubles {
	int locked;       /* 409, 412, 423 */
	int rate_limited; /* 429 */
	int server_error; /* 5xx, after execution or before */
	int time_out;     /* no reply, after execution or before */
	int cut;          /* the connection breaks, after execution or before */
	int refused;      /* no connection: surely not sent */
	int token_gone;   /* 401 */
	int forbidden;    /* 403 */
	int garbage;      /* a 200 with a body that is none */
	int odd_status;   /* 404, 3xx, 400, 408, 412, 425 */
	int batch_aborted;
	int batch_unknown; /* the commit's answer is lost */
	int batch_fatal;   /* the producer has to be rebuilt before the commit */
	int too_large;
};

struct plan {
	int slots, partitions, lanes, tenants, sessions;
	int padding;    /* bytes of each request that nobody reads: the memory gets full */
	int requests;   /* records to write in all, cancels and such included */
	usec_t horizon; /* trouble ends here */
	struct troubles troubles;
	/* disturbances in the whole history */
	int crashes, freezes, stops, losses, rebalances, broker_outages, tenant_outages, wall_steps, misfits;
	/* in 1,000 of the records */
	int invalid, cancels, twins, replays, aborted_records, gaps, expiring;
	int64_t latency_ms; /* of Cognigy's calls, at most most of the time */
	struct settings settings;
	struct settings_tenant tenant_settings[TENANTS_MAX];
};

/* Draws it. */
void plan_draw(struct plan *plan);

#endif

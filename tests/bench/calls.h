/*
 * calls - the three calls of a handoff, as the benchmarks make them
 *
 * One spelling for the yardstick and for the door's own benchmark, so that both put the same bytes on the wire.
 */
#ifndef BENCH_CALLS_H
#define BENCH_CALLS_H

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

enum { CALLS = 3, CALL_FETCH = 0, CALL_UPDATE, CALL_TRIGGER };

#define CALL_TOKEN        "0123456789abcdef0123456789abcdef" /* where none is given: not every origin asks for a true one */
#define CALL_CONTENT_TYPE "Content-Type: application/json"
#define CALL_USER_AGENT   "handoffd/0.1.0"

struct call_text {
	char url[256];
	char key[64]; /* the trigger's Idempotency-Key, as a header line */
	char body[1024];
	int body_len;
};

/* `run` keeps the sessions of one run apart from those of another against the same origin. */
static inline void call_write(struct call_text *text, const char *base_url, int call, int run, unsigned id)
{
	text->body[0] = '\0';
	text->body_len = 0;
	if (call == CALL_TRIGGER)
		snprintf(text->url, sizeof(text->url), "%s/flow", base_url);
	else
		snprintf(text->url, sizeof(text->url), "%s/session/bench-%d-%u", base_url, run, id);
	if (call == CALL_UPDATE)
		text->body_len = snprintf(
			text->body, sizeof(text->body),
			"{\"variables\":{\"callerName\":\"Ada Lovelace\",\"language\":\"en-GB\",\"intentScore\":0.9731,"
			"\"accountTier\":\"gold\",\"authenticated\":true,\"menuPath\":[\"billing\",\"invoice\"],"
			"\"reason\":\"billing_dispute\",\"transferTarget\":\"a1b2c3d4-e5f6-7890-abcd-ef1234567890\","
			"\"transferType\":\"queue\",\"handoffTrigger\":true,\"telephonyAction\":\"transfer\","
			"\"handoffdId\":\"bench-%d-%u#handoff.requests/3/%u#1\"},"
			"\"telephony\":{\"action\":\"transfer\",\"preserveMediaStream\":true}}",
			run, id, id);
	else if (call == CALL_TRIGGER)
		text->body_len = snprintf(text->body, sizeof(text->body),
					  "{\"sessionId\":\"bench-%d-%u\",\"intent\":\"__system_transfer__\","
					  "\"text\":\"agent_handoff_requested\",\"channel\":\"voice\"}",
					  run, id);
	if (call == CALL_TRIGGER)
		snprintf(text->key, sizeof(text->key), "Idempotency-Key: bench-%d-%u", run, id);
}

/* CPU time of this process, user and system, in microseconds. */
static inline double cpu_usec(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return 1e6 * (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

static inline double wall_seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* The line that every benchmark of the three calls ends with. */
static inline void print_result(unsigned handoffs, double seconds, double cpu, unsigned errors)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"handoffs\":%u,\"seconds\":%.3f,\"cpu_us_per_handoff\":%.1f,\"errors\":%u,\"max_rss_kib\":%ld}\n",
	       handoffs, seconds, cpu / handoffs, errors, usage.ru_maxrss);
}

#endif

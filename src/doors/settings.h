/*
 * settings - what was the program told, by file and by environment?
 *
 * One table (settings.c) holds every key once: section, name, type, default, bounds, unit, secret or not, one sentence.
 * Reading, refusing, --print-config and the example file all come from it. Environment beats file. Built once in
 * main(); everybody else gets a pointer to const. Strings are owned by the settings.
 */
#ifndef HANDOFF_SETTINGS_H
#define HANDOFF_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/log.h"
#include "doors/kafka_options.h"
#include "handoff/macros.h"
#include "rules/profile.h"

struct settings_list {
	const char **items;
	size_t count;
};

struct settings_kafka {
	const char *brokers;
	const char *group;
	const char *instance; /* never empty after reading: host name and a random part where none was given */
	bool static_membership;
	struct settings_list requests;
	const char *retry;
	const char *outcomes;
	const char *dead_letters;
	bool exactly_once; /* delivery */
	bool create_topics;
	int64_t partitions;
	int64_t commit_interval_ms;
	struct settings_list properties;
};

/* One Cognigy tenant with its limits: the sections `cognigy` and `limits`, or an entry of `tenants` over them. */
struct settings_tenant {
	const char *name; /* "default" when there is no list */
	enum profile_kind profile;
	const char *base_url;
	const char *endpoint_url; /* "": base_url */
	enum credential_kind auth;
	const char *client_id;
	const char *client_secret;      /* "" when it comes from the file */
	const char *client_secret_file; /* "" when it was given directly */
	int64_t login_timeout_ms;
	int64_t fetch_timeout_ms;
	int64_t update_timeout_ms;
	int64_t trigger_timeout_ms;
	int64_t connect_timeout_ms;
	const char *login_path; /* "/auth/login" */
	const char *token_url;  /* "": none */
	const char *scope;      /* of an OAuth2 token; "": none is asked for */
	const char *session_path;
	const char *update_path; /* "": session_path */
	const char *flow_path;
	const char *intent;
	const char *text;
	bool preserve_media_stream;
	const char *marker_variable; /* "" turns it off */
	bool retrigger_keyed;        /* retrigger = "keyed" (true) or "never" */
	int64_t max_body_bytes;
	const char *ca_file;
	const char *client_cert;
	const char *client_key;
	int64_t max_in_flight;
	bool adaptive_concurrency;
	double requests_per_second;
	int64_t burst;
	int64_t breaker_failures;
	int64_t breaker_open_ms;
};

struct settings_retry {
	int64_t base_delay_ms;
	int64_t max_delay_ms;
	int64_t locked_delay_ms;
	int64_t max_age_ms;
	int64_t budgets[4]; /* by enum budget */
};

struct settings_worker {
	int64_t drain_ms;
	int64_t revoke_ms;
	int64_t window;
	int64_t memory_mb;
	int64_t max_record_bytes;
};

struct settings {
	struct settings_kafka kafka;
	struct settings_tenant *tenants; /* at least one */
	size_t tenant_count;
	struct settings_retry retry;
	struct settings_worker worker;
	const char *admin_listen; /* "": off */
	enum log_level log_level;
	enum log_format log_format;
	struct settings_list redact;
	void *memory; /* everything above lives in here */
};

/* Reads `file` (NULL: defaults and environment only) and the environment. 0; or -EINVAL with one sentence in `error`
 * that names file, line and key (or the variable), never a secret's value. Checks everything that can be checked
 * without a connection: unknown keys, types, bounds, unsafe combinations, librdkafka properties, secret files readable,
 * URLs. `need_cognigy`: false for tools that never call Cognigy (handoffctl): those keys may then be missing. */
int settings_read(const char *file, bool need_cognigy, struct settings *ret, struct buf *error) MUST_CHECK;
void settings_fini(struct settings *settings);

/* Overwrites the client's secret and the brokers' password where the environment gave them, so that nobody finds them
 * in /proc/PID/environ. Reading the settings again still finds that they were given. Before any other thread runs. */
void settings_hide_environment(void);

/* The effective settings as a file that settings_read() would accept, secrets as "***". */
void settings_print(const struct settings *settings, struct buf *out);

/* The Kafka part in the form the doors take. Borrows from `settings`. */
struct kafka_options settings_kafka_options(const struct settings *settings);

/* After how long a silence the group expels us: session.timeout.ms, as `properties` have it or as the doors set it. */
int64_t settings_session_timeout_ms(const struct settings_kafka *kafka);

/* The secret of `tenant`: as given, or the file's content without trailing white space, read now. Appends it; 0 or
 * -errno with the sentence in `error`. Read again on SIGHUP and before each login. */
int settings_secret(const struct settings_tenant *tenant, struct buf *ret, struct buf *error) MUST_CHECK;

#endif

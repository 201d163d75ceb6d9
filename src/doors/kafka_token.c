/*
 * The token of a client that logs in by OAUTHBEARER, out of a file that somebody else renews: a projected service
 * account token, what a sidecar or a timer writes.
 *
 *   the library wants a token ──> read the file ──> good until its `exp` ──> wants one again at 4/5 of that
 *     (its own thread)               │ missing, no token, expired
 *                                    └──> the client's error, in one sentence; wants one again after 10 s
 *
 * Old connections live on meanwhile, unless the broker ends them (connections.max.reauth.ms).
 */
#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "doors/file.h"
#include "doors/kafka_internal.h"
#include "rules/jwt.h"

#define REASON_MAX 512

static bool has_value(const rd_kafka_conf_t *conf, const char *key, const char *value)
{
	char text[64] = "";
	size_t n = sizeof(text);
	return rd_kafka_conf_get(conf, key, text, &n) == RD_KAFKA_CONF_OK && !strcmp(text, value);
}

bool kafka_conf_wants_token(const rd_kafka_conf_t *conf)
{
	return has_value(conf, "sasl.mechanisms", "OAUTHBEARER") &&
	       !has_value(conf, "sasl.oauthbearer.method", "oidc") &&
	       !has_value(conf, "enable.sasl.oauthbearer.unsecure.jwt", "true");
}

static const char *path_in(const char *config)
{
	const size_t n = strlen(KAFKA_TOKEN_FILE);
	return config && !strncmp(config, KAFKA_TOKEN_FILE, n) && config[n] ? config + n : NULL;
}

bool kafka_conf_names_token(const rd_kafka_conf_t *conf)
{
	char config[4096] = "";
	size_t n = sizeof(config);
	return rd_kafka_conf_get(conf, "sasl.oauthbearer.config", config, &n) == RD_KAFKA_CONF_OK && path_in(config);
}

/* 0, or -EINVAL with the reason in `why`. */
static int set_token(rd_kafka_t *rk, const char *file, struct span token, struct buf *why)
{
	const int64_t now = clock_read().unix_ms;
	char reason[REASON_MAX] = "", end[25];
	const char *fault = NULL;
	struct jwt jwt;
	if (jwt_read(token, &jwt, &fault) < 0) {
		buf_add_format(why, "%s %s", file, fault);
	} else if (jwt.expires_ms <= now) {
		text_rfc3339(end, jwt.expires_ms);
		buf_add_format(why, "%s holds a token that expired at %s", file, end);
	} else if (rd_kafka_oauthbearer_set_token(rk, token.p, jwt.expires_ms, jwt.subject, NULL, 0, reason,
						  sizeof(reason))) {
		buf_add_format(why, "%s: %s", file, reason);
	} else {
		return 0;
	}
	return -EINVAL;
}

static void on_refresh(rd_kafka_t *rk, const char *config, void *opaque)
{
	const char *file = path_in(config);
	struct buf token, why;
	(void)opaque;
	if (!file)
		return;
	buf_init(&token, JWT_MAX);
	buf_init(&why, REASON_MAX + strlen(file));
	/* The library wants a text that ends with a NUL, which a buf has. */
	if (file_read_secret(file, &token, &why) < 0 || set_token(rk, file, buf_span(&token), &why) < 0)
		rd_kafka_oauthbearer_set_token_failure(rk, buf_text(&why));
	buf_wipe(&token);
	buf_fini(&why);
}

void kafka_conf_take_token(rd_kafka_conf_t *conf)
{
	if (!kafka_conf_wants_token(conf) || !kafka_conf_names_token(conf))
		return;
	rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, on_refresh);
	rd_kafka_conf_enable_sasl_queue(conf, 1);
}

void kafka_token_serve(rd_kafka_t *rk)
{
	/* An error says that this client has no such queue, and then there is nothing to serve. */
	rd_kafka_error_t *error = rd_kafka_sasl_background_callbacks_enable(rk);
	if (error)
		rd_kafka_error_destroy(error);
}

/* Before anything connects: can a client with these properties be made at all? */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "doors/kafka_internal.h"

#define VALUE_MAX 4096

/* "" when it is not set, not known, or longer. */
static const char *value_of(const rd_kafka_conf_t *conf, const char *key, char text[VALUE_MAX])
{
	size_t n = VALUE_MAX;
	if (rd_kafka_conf_get(conf, key, text, &n) != RD_KAFKA_CONF_OK)
		text[0] = '\0';
	return text;
}

static int check_token(const rd_kafka_conf_t *conf, struct fault *fault)
{
	if (!kafka_conf_wants_token(conf) || kafka_conf_names_token(conf))
		return 0;
	return fault_set(fault, -EINVAL, FAULT_PERMANENT,
			 "sasl.mechanism OAUTHBEARER takes the token from a file: set "
			 "sasl.oauthbearer.config=" KAFKA_TOKEN_FILE "PATH");
}

/* The library would say "system lib". */
static int check_files(const rd_kafka_conf_t *conf, struct fault *fault)
{
	static const char *const KEYS[] = { "ssl.ca.location", "ssl.certificate.location", "ssl.key.location",
					    "ssl.keystore.location", "ssl.crl.location" };
	char path[VALUE_MAX];
	for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++)
		if (*value_of(conf, KEYS[i], path) && strcmp(path, "probe") != 0 && access(path, R_OK) < 0)
			return fault_set(fault, -EINVAL, FAULT_PERMANENT, "%s: %.150s cannot be read: %s", KEYS[i],
					 path, strerror(errno));
	return 0;
}

/* Takes `conf`. */
static int try_client(rd_kafka_conf_t *conf, struct fault *fault)
{
	rd_kafka_t *rk = kafka_client_new(conf, KAFKA_CLIENT_ADMIN, fault);
	kafka_client_destroy(rk);
	return rk ? 0 : -EINVAL;
}

int kafka_check_login(const char *const *properties, size_t count, struct fault *fault)
{
	const struct kafka_options options = { .properties = properties, .property_count = count };
	char protocol[VALUE_MAX];
	if (count == 0)
		return 0;
	rd_kafka_conf_t *conf = kafka_conf_new(&options, KAFKA_CLIENT_ADMIN, fault);
	if (!conf)
		return -EINVAL;
	int r = check_token(conf, fault);
	if (r == 0)
		r = check_files(conf, fault);
	if (r == 0 && strcasecmp(value_of(conf, "security.protocol", protocol), "plaintext") != 0)
		return try_client(conf, fault);
	rd_kafka_conf_destroy(conf);
	return r;
}

/*
 * What a token's file holds. Whatever it is: refused with a reason, or a token whose end librdkafka can count in
 * microseconds and whose subject ends within its place.
 *
 * libFuzzer: -max_len=512
 */
#include "fuzz_check.h"
#include "rules/jwt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct span token = { size > 0 ? (const char *)data : "", size };
	const char *why = NULL;
	struct jwt jwt;
	const int r = jwt_read(token, &jwt, &why);
	CHECK((r == 0) == (why == NULL));
	CHECK(jwt.expires_ms >= 0 && jwt.expires_ms <= INT64_MAX / 1000);
	CHECK(memchr(jwt.subject, '\0', sizeof(jwt.subject)));
	return 0;
}

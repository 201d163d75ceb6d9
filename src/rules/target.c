#include "rules/target.h"

#include "base/text.h"
#include "handoff/macros.h"

static bool begins_with(struct span text, const char *prefix)
{
	const size_t n = strlen(prefix);
	return text.n > n && memcmp(text.p, prefix, n) == 0;
}

static bool is_sip(struct span text)
{
	return (begins_with(text, "sip:") || begins_with(text, "sips:")) && text_is_printable_ascii(text) &&
	       !memchr(text.p, ' ', text.n);
}

static bool is_number(struct span text)
{
	if (text.n < 8 || text.n > 16 || text.p[0] != '+' || text.p[1] == '0')
		return false;
	for (size_t i = 1; i < text.n; i++)
		if (text.p[i] < '0' || text.p[i] > '9')
			return false;
	return true;
}

static const struct {
	const char *name;
	const char *wanted;
	bool (*fits)(struct span value);
} types[TARGET_TYPES] = {
	[TARGET_QUEUE] = { "queue", "a UUID, for target.type is queue", text_is_uuid },
	[TARGET_SIP] = { "sip", "a SIP URI of at most 256 printable ASCII characters, for target.type is sip", is_sip },
	[TARGET_TEL] = { "tel", "a + and 7 to 15 digits, for target.type is tel", is_number },
};

const char *target_type_name(enum target_type type)
{
	return types[type].name;
}

enum target_type target_type_by_name(struct span name)
{
	enum target_type type = TARGET_QUEUE;
	while (type < TARGET_TYPES && !span_is(name, types[type].name))
		type++;
	return type;
}

bool target_fits(enum target_type type, struct span value)
{
	return value.n <= TARGET_VALUE_MAX && types[type].fits(value);
}

const char *target_wanted(enum target_type type)
{
	return types[type].wanted;
}

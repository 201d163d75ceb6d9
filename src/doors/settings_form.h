/*
 * settings_form - is this text an address, a URL, a topic, a path?
 *
 * Each function: 0, or -EINVAL with what is wrong in `why`, as the end of a sentence whose beginning is the setting's
 * name ("must begin with ..."). Pure. The text is never quoted where it may hold a secret.
 */
#ifndef HANDOFF_SETTINGS_FORM_H
#define HANDOFF_SETTINGS_FORM_H

#include "base/fault.h"
#include "handoff/macros.h"

/* "HOST[:PORT],..." as librdkafka takes it, with or without a protocol in front. */
int form_brokers(const char *text, struct fault *why) MUST_CHECK;
/* Kafka's legal charset: A-Z a-z 0-9 . _ -, at most 249, neither "." nor "..". */
int form_topic(const char *text, struct fault *why) MUST_CHECK;
/* The same, or nothing. */
int form_instance(const char *text, struct fault *why) MUST_CHECK;
/* Printable ASCII. */
int form_group(const char *text, struct fault *why) MUST_CHECK;
/* http or https, a host, an optional port and path; no placeholder, user, query or fragment. Or nothing. */
int form_base_url(const char *text, struct fault *why) MUST_CHECK;
/* A path beginning with a slash, without blanks and placeholders. */
int form_path(const char *text, struct fault *why) MUST_CHECK;
/* The same with {sessionId} in it, once. */
int form_session_path(const char *text, struct fault *why) MUST_CHECK;
/* The same, or nothing. */
int form_update_path(const char *text, struct fault *why) MUST_CHECK;
/* A path in which {sessionId}, {userId} and {urlToken} may stand. */
int form_flow_path(const char *text, struct fault *why) MUST_CHECK;
/* UTF-8, and not one of the names that every handoff writes. */
int form_variable(const char *text, struct fault *why) MUST_CHECK;
/* "HOST:PORT", or nothing. */
int form_listen(const char *text, struct fault *why) MUST_CHECK;
/* A-Z a-z 0-9 . _ -, at most 64. */
int form_tenant(const char *text, struct fault *why) MUST_CHECK;

#endif

/*
 * fuzz_worker_filling - whatever a caller, a session and a configuration say, is the call that is sent the one we mean?
 *
 * Input, line by line: "STAGE PROFILE LOGIN MARKER REPLAY" (enums of rules/profile.h; 0 or 1); the request; a text of
 * the configuration; the rest is the session's variables. json-c and a plain reader of forms look at what is sent:
 * nobody's text can add a member, a parameter, a path segment or a header line, and what is ours says what it should.
 *
 * libFuzzer: -max_len=2048
 */
#include "base/text.h"
#include "fuzz_json.h"
#include "fuzz_line.h"
#include "rules/profile.h"
#include "worker/filling.h"

#define NOW_MS   INT64_C(1763978400000)
#define BODY_MAX ((size_t)4 << 20)

struct scene {
	struct request request;
	struct history history;
	struct settings_tenant settings;
	char text[256];
	struct filling filling;
	const struct profile_step *step;
};

/* ---- what is given ---- */

static bool read_request(struct scene *scene, struct span value)
{
	const struct request_limits limits = { .max_record_bytes = 65536, .max_age_ms = 900000 };
	const struct record record = {
		.topic = "t", .partition = 1, .offset = 7, .timestamp_ms = NOW_MS, .value = value
	};
	struct fault fault;
	return request_read(&record, &limits, NOW_MS, &scene->request, &scene->history, &fault) == 0 &&
	       !scene->request.is_cancel &&
	       !profile_complaint(scene->settings.profile, scene->settings.flow_path, &scene->request);
}

static bool set_scene(struct scene *scene, struct span input)
{
	unsigned stage = 0, profile = 0, login = 0, marker = 0, replay = 0;
	char first[32] = "";
	const struct span line = fuzz_take_line(&input);
	memcpy(first, line.p, line.n < sizeof(first) - 1 ? line.n : sizeof(first) - 1);
	sscanf(first, "%1u %1u %1u %1u %1u", &stage, &profile, &login, &marker, &replay);
	const struct span value = fuzz_take_line(&input), text = fuzz_take_line(&input);
	snprintf(scene->text, sizeof(scene->text), "%.*s", SPAN_FMT(text));
	scene->settings = (struct settings_tenant){ .profile = (enum profile_kind)(profile % PROFILE_KINDS),
						    .auth = (enum credential_kind)(login % CREDENTIAL_API_KEY),
						    .client_id = scene->text,
						    .flow_path = "",
						    .scope = scene->text,
						    .intent = scene->text,
						    .text = scene->text,
						    .marker_variable = marker ? "m" : "" };
	scene->step = profile_step(scene->settings.profile, scene->settings.auth, (enum stage)(stage % STAGE_COUNT));
	scene->filling = (struct filling){ .settings = &scene->settings,
					   .request = &scene->request,
					   .history = &scene->history,
					   .secret = span_of(scene->text) };
	struct scan_value *variables = &scene->filling.variables;
	if (scan_check(input, variables, NULL) < 0 || variables->type != SCAN_OBJECT)
		*variables = (struct scan_value){ .type = SCAN_OBJECT };
	const bool is_read = read_request(scene, value);
	scene->history.replay = (int32_t)replay;
	return is_read && text_is_utf8(span_of(scene->text));
}

/* ---- what is sent ---- */

static void demand_text(json_object *body, const char *key, const char *wanted)
{
	json_object *value = fuzz_json_member(body, key);
	CHECK(!value || strcmp(fuzz_json_text(value), wanted) == 0);
}

static void demand_ours(json_object *variables, const struct scene *scene)
{
	static const char *const types[] = { "queue", "sip", "tel" };
	const struct request *request = &scene->request;
	char marker[1024];
	demand_text(variables, VAR_TRANSFER_TARGET, request->target ? request->target : request->queue_id);
	demand_text(variables, VAR_TRANSFER_TYPE, types[request->target_type]);
	demand_text(variables, VAR_TELEPHONY_ACTION, "transfer");
	CHECK(fuzz_json_member(variables, VAR_TRANSFER_TARGET) && fuzz_json_member(variables, VAR_TRANSFER_TYPE));
	CHECK(json_object_get_boolean(fuzz_json_member(variables, VAR_HANDOFF_TRIGGER)));
	snprintf(marker, sizeof(marker), "%s#t/1/7#%d", request->handoff_id, (int)scene->history.attempt);
	if (scene->settings.marker_variable[0])
		CHECK(strcmp(fuzz_json_text(fuzz_json_member(variables, "m")), marker) == 0);
}

/* How many members the template has at its top: each begins behind a brace or comma of depth 1. */
static int members_of(const char *template)
{
	int depth = 0, count = 0;
	for (const char *c = template; *c; c++) {
		depth += (*c == '{') - (*c == '}');
		count += depth == 1 && *c == ':';
	}
	return count;
}

static void check_json(const struct scene *scene, struct span body)
{
	json_object *object = fuzz_json(body), *variables = fuzz_json_member(object, "variables");
	CHECK(json_object_is_type(object, json_type_object));
	CHECK(json_object_object_length(object) == members_of(scene->step->body));
	demand_text(object, "sessionId", scene->request.session_id);
	demand_text(object, "userId", scene->request.user_id ? scene->request.user_id : "");
	demand_text(object, "URLToken", scene->request.url_token ? scene->request.url_token : "");
	demand_text(object, "intent", scene->text);
	demand_text(object, "text", scene->text);
	demand_text(object, "client_id", scene->text);
	demand_text(object, "client_secret", scene->text);
	if (!variables)
		variables = fuzz_json_member(object, "context");
	if (variables)
		demand_ours(variables, scene);
	if (fuzz_json_member(object, "data")) {
		demand_ours(fuzz_json_member(object, "data"), scene);
		CHECK(json_object_object_length(fuzz_json_member(object, "data")) ==
		      (scene->settings.marker_variable[0] ? 5 : 4));
	}
	json_object_put(object);
}

/* The parameters of the template, in its order, with the text as their values. */
static void check_form(const struct scene *scene, struct span form)
{
	const char *template = scene->step->body;
	struct buf decoded;
	buf_init(&decoded, BODY_MAX);
	CHECK(text_percent_decode(&decoded, form) == 0);
	for (size_t i = 0; i < form.n; i++)
		CHECK(form.p[i] > ' ' && form.p[i] < 0x7f && !strchr("+;#\"'\\", form.p[i]));
	size_t ampersands = 0, wanted = 0;
	for (size_t i = 0; i < form.n; i++)
		ampersands += form.p[i] == '&';
	for (const char *c = template; *c; c++)
		wanted += *c == '&';
	CHECK(ampersands == wanted);
	CHECK(scene->text[0] == '\0' || memmem(decoded.data, decoded.len, scene->text, strlen(scene->text)));
	buf_fini(&decoded);
}

static void check_body(const struct scene *scene)
{
	struct buf body;
	if (!scene->step->body)
		return;
	buf_init(&body, BODY_MAX);
	const int r = scene->step->is_form ? filling_encoded(&body, scene->step->body, &scene->filling)
					   : filling_body(&body, scene->step->body, &scene->filling);
	CHECK(r == 0 || scene->filling.variables.text.p); /* two of the session's variables have one name */
	if (r == 0 && scene->step->is_form)
		check_form(scene, buf_span(&body));
	else if (r == 0)
		check_json(scene, buf_span(&body));
	buf_fini(&body);
}

static void check_path(const struct scene *scene)
{
	struct buf path, decoded;
	char wanted[2 * REQUEST_SESSION_ID_MAX + 16];
	const struct request *request = &scene->request;
	const char *template = request->user_id ? "/a/{sessionId}/b/{userId}" : "/a/{sessionId}/b/";
	buf_init(&path, BODY_MAX);
	buf_init(&decoded, BODY_MAX);
	CHECK(filling_encoded(&path, template, &scene->filling) == 0);
	size_t slashes = 0;
	for (size_t i = 0; i < path.len; i++) {
		slashes += path.data[i] == '/';
		CHECK(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%/", path.data[i]));
	}
	CHECK(slashes == 4 && text_percent_decode(&decoded, buf_span(&path)) == 0);
	snprintf(wanted, sizeof(wanted), "/a/%s/b/%s", request->session_id, request->user_id ? request->user_id : "");
	CHECK(strcmp(buf_text(&decoded), wanted) == 0);
	buf_fini(&path);
	buf_fini(&decoded);
}

static void check_headers(const struct scene *scene)
{
	for (size_t i = 0; scene->step->headers[i]; i++) {
		struct buf line;
		buf_init(&line, BODY_MAX);
		CHECK(filling_header(&line, scene->step->headers[i], &scene->filling) == 0);
		CHECK(text_is_printable_ascii(buf_span(&line)) && !strchr(buf_text(&line), '{'));
		buf_fini(&line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scene scene = { 0 };
	if (set_scene(&scene, fuzz_input(data, size))) {
		check_body(&scene);
		check_path(&scene);
		check_headers(&scene);
	}
	request_fini(&scene.request);
	return 0;
}

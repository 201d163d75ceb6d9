#include "doors/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"

/* A pipe is waited for, but only where somebody is at its other end. */
static int prepare_to_read(int fd, bool pipe_too)
{
	struct stat status;
	if (fstat(fd, &status) < 0)
		return -errno;
	if (S_ISDIR(status.st_mode))
		return -EISDIR;
	if (S_ISFIFO(status.st_mode) && pipe_too)
		return fcntl(fd, F_SETFL, 0) < 0 ? -errno : 0;
	return S_ISREG(status.st_mode) ? 0 : -ENOTSUP;
}

int file_read(const char *file, bool pipe_too, struct buf *ret)
{
	/* O_NONBLOCK: the opening of a pipe that nobody writes must not hold the program. */
	const int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	int r = prepare_to_read(fd, pipe_too);
	char block[8192];
	for (ssize_t n = 1; r == 0 && n != 0;) {
		n = read(fd, block, sizeof(block));
		if (n < 0 && errno != EINTR)
			r = -errno;
		if (n > 0)
			buf_add(ret, block, (size_t)n);
		if (!buf_ok(ret))
			r = ret->limit - ret->len < sizeof(block) ? -EFBIG : -ENOMEM;
	}
	explicit_bzero(block, sizeof(block));
	close(fd);
	return r;
}

const char *file_fault(int r)
{
	return r == -EFBIG ? "it is too large" : r == -ENOTSUP ? "it is not a regular file" : strerror(-r);
}

/* --- secrets --- */

static struct span without_trailing_space(struct span s)
{
	while (s.n > 0 && strchr(" \t\r\n\v\f", s.p[s.n - 1]) && s.p[s.n - 1])
		s.n--;
	return s;
}

/* Why these bytes are no secret that could be sent, or NULL. */
static const char *secret_fault(struct span secret)
{
	return secret.n == 0              ? "holds no secret: it is empty"
	       : text_has_control(secret) ? "holds no secret: there are control characters in it"
	       : !text_is_utf8(secret)    ? "holds no secret: it is not UTF-8"
					  : NULL;
}

static int refuse(struct buf *error, int code, const char *file, const char *what)
{
	buf_reset(error);
	buf_add_format(error, "%s %s", file, what);
	return code;
}

int file_read_secret(const char *file, struct buf *ret, struct buf *error)
{
	struct buf content;
	buf_init(&content, ret->limit);
	int r = file_read(file, false, &content);
	if (r < 0) {
		buf_reset(error);
		buf_add_format(error, "%s cannot be read: %s", file, file_fault(r));
	} else {
		const struct span secret = without_trailing_space(buf_span(&content));
		const char *what = secret_fault(secret);
		buf_add_span(ret, secret);
		if (what)
			r = refuse(error, -EINVAL, file, what);
		else if (!buf_ok(ret))
			r = refuse(error, -ENOMEM, file, "does not fit into memory");
	}
	buf_wipe(&content);
	return r;
}

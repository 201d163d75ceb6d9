#include "doors/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"

enum { BACKLOG = 1024 };

/* "HOST:PORT" cut in two; "[::1]:80" loses its brackets. */
static int split_listen(const char *listen_at, char *host, size_t host_size, const char **ret_port)
{
	const char *colon = strrchr(listen_at, ':');
	if (!colon || colon[1] == '\0')
		return -EINVAL;
	const char *begin = listen_at, *end = colon;
	if (end - begin >= 2 && *begin == '[' && end[-1] == ']')
		begin++, end--;
	if ((size_t)(end - begin) >= host_size)
		return -EINVAL;
	memcpy(host, begin, (size_t)(end - begin));
	host[end - begin] = '\0';
	*ret_port = colon + 1;
	return 0;
}

/* Addresses and the name "localhost" only: nothing here may wait for a name server. */
static int resolve(const char *listen_at, struct addrinfo **ret)
{
	char host[128];
	const char *port;
	int64_t number;
	if (split_listen(listen_at, host, sizeof(host), &port) < 0 || text_parse_int64(span_of(port), &number) < 0 ||
	    number < 0 || number > UINT16_MAX)
		return -EINVAL;
	const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
					.ai_socktype = SOCK_STREAM };
	const char *node = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
	return getaddrinfo(*node ? node : NULL, port, &hints, ret) == 0 ? 0 : -EINVAL;
}

uint16_t listener_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = { .v6 = { .sin6_family = AF_UNSPEC } };
	socklen_t size = sizeof(address);
	if (getsockname(fd, &address.any, &size) < 0)
		return 0;
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

/* A listening socket, or -errno. */
static int listen_on(const struct addrinfo *address)
{
	const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	const int on = 1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
		const int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

int listener_open(const char *listen_at, struct fault *fault)
{
	struct addrinfo *address = NULL;
	if (resolve(listen_at, &address) < 0)
		return fault_set(fault, -EINVAL, FAULT_PERMANENT, "\"%s\" is not an address and a port (HOST:PORT)",
				 listen_at);
	const int fd = listen_on(address);
	freeaddrinfo(address);
	if (fd < 0)
		return fault_set(fault, fd, FAULT_PERMANENT, "cannot listen on %s: %s", listen_at, strerror(-fd));
	return fd;
}
